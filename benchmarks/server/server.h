/* The server's parts, and what they share. */

#ifndef SERVER_H
#define SERVER_H

#include "replies.h"
#include "request.h"

#include <stdint.h>

#define MILLISECOND INT64_C(1000000)
#define LONGEST_LATENCY 3600000 /* milliseconds */

struct connection {
    int socket;
    uint32_t events; /* what epoll is told to look for */
    struct request request;
    char *in;
    size_t in_start, in_end, in_capacity;
    struct reply *first, *last;
    size_t replies;
    char *out; /* what the socket did not take */
    size_t out_start, out_end, out_capacity;
    bool no_more;  /* nothing is read any more: a mistake, or a wish to close */
    bool hang_up;  /* close it when all is sent */
    bool broken;
    struct connection *previous, *next; /* of those that are open, or that are to be freed */
};

struct server {
    int epoll, listener, signals, timer;
    int64_t latency;
    int64_t armed; /* when the timer rings; 0 if it does not */
    struct heap waiting;
    uint64_t replies;
    struct connection *open;
    struct connection *closed; /* freed when no event of this round can name them */
    /* What /stats tells. */
    uint64_t requests, others, refused, accepted, bytes_in, bytes_out;
    size_t connections, in_flight, most_in_flight;
};

extern struct server server;

_Noreturn void die(const char *what);
int64_t now(void); /* nanoseconds */
void watch(int descriptor, uint32_t events, void *tag, int operation);

/* connections.c */

/* Queue a reply, whose bytes are the connection's from now on; `completes` counts it as a call. */
void reply_to(struct connection *c, char *bytes, size_t length, int64_t after, bool completes,
              bool hang_up);
void serve(struct connection *c, uint32_t events);
void settle(struct connection *c); /* send what is due, read on, close what is over */
void free_reply(struct reply *reply);
void open_connection(int socket);
void free_closed(void);
void close_all(void); /* in the end: nothing is left */

/* routes.c */

void answer(struct connection *c); /* the request that is there in whole */
void refuse_request(struct connection *c, int status);

#endif
