/* What is read from connections, and sent. */

#define _GNU_SOURCE

#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE (64u << 10)
/* A client that sends on and on, and reads nothing, is not read from any more. */
#define MOST_PIPELINED 1024
#define MOST_KEPT (1u << 20)

void free_reply(struct reply *reply)
{
    free(reply->bytes);
    free(reply);
}

static void close_connection(struct connection *c)
{
    close(c->socket);
    server.connections--;
    while (c->first != NULL) {
        struct reply *reply = c->first;
        c->first = reply->next;
        if (reply->completes)
            server.in_flight--;
        if (reply->waiting)
            reply->connection = NULL; /* freed when it comes out of the heap */
        else
            free_reply(reply);
    }
    c->socket = -1;
    if (c->previous != NULL)
        c->previous->next = c->next;
    else
        server.open = c->next;
    if (c->next != NULL)
        c->next->previous = c->previous;
    c->next = server.closed;
    server.closed = c;
}

static void keep_for_later(struct connection *c, const char *bytes, size_t length)
{
    size_t kept = c->out_end - c->out_start;
    if (kept + length > c->out_capacity - c->out_start) {
        size_t capacity = c->out_capacity > kept + length ? c->out_capacity : 2 * (kept + length);
        char *out = malloc(capacity);
        if (out == NULL)
            abort();
        if (kept > 0)
            memcpy(out, c->out + c->out_start, kept);
        free(c->out);
        c->out = out;
        c->out_capacity = capacity;
        c->out_start = 0;
        c->out_end = kept;
    }
    memcpy(c->out + c->out_end, bytes, length);
    c->out_end += length;
}

static void send_bytes(struct connection *c, const char *bytes, size_t length)
{
    server.bytes_out += length;
    while (length > 0 && c->out_end == c->out_start && !c->broken) {
        ssize_t sent = send(c->socket, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (sent < 0)
            c->broken = true;
        else
            bytes += sent, length -= (size_t)sent;
    }
    if (length > 0 && !c->broken)
        keep_for_later(c, bytes, length);
}

static void send_kept(struct connection *c)
{
    while (c->out_start < c->out_end) {
        ssize_t sent = send(c->socket, c->out + c->out_start, c->out_end - c->out_start,
                            MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            c->broken = errno != EAGAIN && errno != EWOULDBLOCK;
            return;
        }
        c->out_start += (size_t)sent;
    }
    c->out_start = c->out_end = 0;
}

/* Send the replies that are due and have none before them. */
static void send_due(struct connection *c)
{
    while (c->first != NULL && !c->first->waiting && !c->hang_up) {
        struct reply *reply = c->first;
        c->first = reply->next;
        c->replies--;
        if (reply->completes)
            server.in_flight--;
        send_bytes(c, reply->bytes, reply->length);
        c->hang_up = reply->hang_up;
        free_reply(reply);
    }
}

void reply_to(struct connection *c, char *bytes, size_t length, int64_t after,
                     bool completes, bool hang_up)
{
    struct reply *reply = calloc(1, sizeof *reply);
    if (reply == NULL)
        abort();
    *reply = (struct reply){.connection = c, .bytes = bytes, .length = length,
                            .number = server.replies++, .completes = completes,
                            .hang_up = hang_up};
    if (completes && ++server.in_flight > server.most_in_flight)
        server.most_in_flight = server.in_flight;
    if (after > 0) {
        reply->due = now() + after;
        reply->waiting = true;
        push(&server.waiting, reply);
    }
    if (c->first == NULL)
        c->first = reply;
    else
        c->last->next = reply;
    c->last = reply;
    c->replies++;
}

/* Whether a client has so much to read before it that it is not read from. */
static bool is_full(const struct connection *c)
{
    return c->replies >= MOST_PIPELINED || c->out_end - c->out_start >= MOST_KEPT;
}

/* Answer every whole request that has been read. */
static void answer_all(struct connection *c)
{
    while (!c->no_more && !c->broken && c->in_start < c->in_end && !is_full(c)) {
        struct request *r = &c->request;
        int status = 400;
        enum progress found =
            read_request(r, c->in + c->in_start, c->in_end - c->in_start, &status);
        if (found == INCOMPLETE) {
            if (r->state != HEAD && r->expects_continue) {
                static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
                char *bytes = strdup(go_on);
                if (bytes == NULL)
                    abort();
                r->expects_continue = false;
                reply_to(c, bytes, sizeof go_on - 1, 0, false, false);
            }
            break;
        }
        if (found == REFUSED) {
            refuse_request(c, status);
            c->no_more = true;
            break;
        }
        answer(c);
        c->no_more = !r->keep_alive;
        c->in_start += r->read;
        memset(r, 0, sizeof *r);
    }
    if (c->in_start == c->in_end)
        c->in_start = c->in_end = 0;
}

/* Send what is due, read on if there is room for it, and close what is over. */
void settle(struct connection *c)
{
    for (;;) {
        send_due(c);
        uint64_t before = server.replies;
        answer_all(c); /* what had been read, and had to wait for those before it */
        if (server.replies == before)
            break;
    }
    bool all_sent = c->out_start == c->out_end;
    bool over = c->hang_up || (c->no_more && c->first == NULL);
    if (c->broken || (over && all_sent)) {
        close_connection(c);
        return;
    }
    uint32_t events = (all_sent ? 0u : (uint32_t)EPOLLOUT) |
                      (c->no_more || is_full(c) ? 0u : (uint32_t)EPOLLIN);
    if (events != c->events) {
        c->events = events;
        watch(c->socket, events, c, EPOLL_CTL_MOD);
    }
}

static void make_room(struct connection *c)
{
    if (c->in_capacity - c->in_end >= READ_SIZE / 16)
        return;
    if (c->in_start > 0) {
        memmove(c->in, c->in + c->in_start, c->in_end - c->in_start);
        c->in_end -= c->in_start;
        c->in_start = 0;
    }
    if (c->in_capacity - c->in_end < READ_SIZE / 16) {
        c->in_capacity = c->in_capacity == 0 ? READ_SIZE / 8 : c->in_capacity * 2;
        c->in = realloc(c->in, c->in_capacity);
        if (c->in == NULL)
            abort();
    }
}

static void read_more(struct connection *c)
{
    make_room(c);
    ssize_t got = recv(c->socket, c->in + c->in_end, c->in_capacity - c->in_end, 0);
    if (got < 0) {
        c->broken = errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
        return;
    }
    if (got == 0) {
        c->broken = true; /* it has hung up, and waits for nothing */
        return;
    }
    server.bytes_in += (uint64_t)got;
    c->in_end += (size_t)got;
    answer_all(c);
}

void serve(struct connection *c, uint32_t events)
{
    if (c->socket < 0)
        return; /* closed in this round */
    if (events & EPOLLERR || (events & EPOLLHUP && c->no_more))
        c->broken = true;
    if (!c->broken && events & EPOLLOUT)
        send_kept(c);
    if (!c->broken && !c->no_more && events & (EPOLLIN | EPOLLHUP))
        read_more(c);
    settle(c);
}

void open_connection(int socket)
{
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL)
        abort();
    c->socket = socket;
    c->events = EPOLLIN;
    c->next = server.open;
    if (c->next != NULL)
        c->next->previous = c;
    server.open = c;
    watch(socket, c->events, c, EPOLL_CTL_ADD);
    server.connections++;
    server.accepted++;
}

void free_closed(void)
{
    while (server.closed != NULL) {
        struct connection *c = server.closed;
        server.closed = c->next;
        free(c->in);
        free(c->out);
        free(c);
    }
}

void close_all(void)
{
    while (server.open != NULL)
        close_connection(server.open);
    free_closed();
    while (server.waiting.count > 0)
        free_reply(pop(&server.waiting));
    free(server.waiting.replies);
}
