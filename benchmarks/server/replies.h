/* Replies that are due later: a heap by the time they are due. */

#ifndef REPLIES_H
#define REPLIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;

/* One reply to one request. Those of a connection leave in the order of their requests. */
struct reply {
    struct connection *connection; /* NULL once that is closed */
    struct reply *next;            /* of the same connection */
    char *bytes;
    size_t length;
    int64_t due;        /* nanoseconds; 0 is at once */
    uint64_t number;    /* the earlier of two that are due at once goes first */
    bool waiting;       /* in the heap */
    bool completes;     /* a completion, and so counted as in flight */
    bool hang_up;       /* close the connection after it */
};

struct heap {
    struct reply **replies;
    size_t count, capacity;
};

void push(struct heap *heap, struct reply *reply);
struct reply *pop(struct heap *heap); /* the one that is due first; the heap must not be empty */

#endif
