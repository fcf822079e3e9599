/* HTTP/1.1 requests, read as they come in: in parts, or several at once. */

#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#define LONGEST_HEAD (64u << 10)
#define LONGEST_BODY (64u << 20)

enum body_state { HEAD, WHOLE_BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };

/* Offsets are from the request's first byte: the buffer that holds it may move. */
struct request {
    enum body_state state;
    size_t read;           /* bytes that were understood so far */
    size_t scanned;        /* bytes of the head that hold no end of it */
    size_t method_length;  /* the method is at 0 */
    size_t path, path_length;
    size_t body, body_length; /* chunks are put together in place */
    size_t left;           /* of the body, or of this chunk */
    bool keep_alive;
    bool expects_continue; /* the client waits to be told to send its body */
};

enum progress { INCOMPLETE, COMPLETE, REFUSED };

/* Read on; on REFUSED `*status` is the HTTP status to answer with before hanging up. */
enum progress read_request(struct request *request, char *bytes, size_t length, int *status);

#endif
