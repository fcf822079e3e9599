#define _GNU_SOURCE

#include "answer.h"
#include "server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void reply_json(struct connection *c, const char *status, const char *json, size_t length,
                       int64_t after, bool completes, bool keep_alive)
{
    char *bytes = NULL;
    int written = asprintf(&bytes,
                           "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%s"
                           "Content-Length: %zu\r\n\r\n%.*s",
                           status, keep_alive ? "" : "Connection: close\r\n", length, (int)length,
                           json);
    if (written < 0)
        abort();
    reply_to(c, bytes, (size_t)written, after, completes, !keep_alive);
}

static void reply_error(struct connection *c, const char *status, const char *said, bool keep_alive)
{
    char json[256];
    int length = snprintf(json, sizeof json,
                          "{\"error\":{\"message\":\"%s\",\"type\":\"invalid_request_error\","
                          "\"param\":null,\"code\":null}}",
                          said);
    server.refused++;
    reply_json(c, status, json, (size_t)length, 0, false, keep_alive);
}

static void reply_stats(struct connection *c, bool reset, bool keep_alive)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    char json[512];
    int length = snprintf(
        json, sizeof json,
        "{\"requests\":%" PRIu64 ",\"other_requests\":%" PRIu64 ",\"refused\":%" PRIu64
        ",\"in_flight\":%zu,\"max_in_flight\":%zu,\"connections\":%zu,\"accepted\":%" PRIu64
        ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64 ",\"cpu_seconds\":%.6f}",
        server.requests, server.others, server.refused, server.in_flight, server.most_in_flight,
        server.connections, server.accepted, server.bytes_in, server.bytes_out, cpu);
    reply_json(c, "200 OK", json, (size_t)length, 0, false, keep_alive);
    if (reset) {
        server.requests = server.others = server.refused = server.accepted = 0;
        server.bytes_in = server.bytes_out = 0;
        server.most_in_flight = server.in_flight;
    }
}

static bool ends_with(const char *text, size_t length, const char *end)
{
    size_t size = strlen(end);
    return length >= size && memcmp(text + length - size, end, size) == 0;
}

/* The latency that a path such as /after/50ms/v1/chat/completions asks for; -1 if it is wrong. */
static int64_t latency_of(const char *path, size_t length)
{
    static const char prefix[] = "/after/";
    size_t at = sizeof prefix - 1, first = at;
    if (length < at || memcmp(path, prefix, at) != 0)
        return server.latency;
    int64_t milliseconds = 0;
    for (; at < length && path[at] >= '0' && path[at] <= '9'; at++)
        if ((milliseconds = milliseconds * 10 + (path[at] - '0')) > LONGEST_LATENCY)
            return -1;
    if (at == first || length - at < 3 || memcmp(path + at, "ms/", 3) != 0)
        return -1;
    return milliseconds * MILLISECOND;
}

void answer(struct connection *c)
{
    struct request *r = &c->request;
    const char *bytes = c->in + c->in_start, *path = bytes + r->path, *body = bytes + r->body;
    const char *query = memchr(path, '?', r->path_length);
    size_t length = query == NULL ? r->path_length : (size_t)(query - path);
    bool get = r->method_length == 3 && memcmp(bytes, "GET", 3) == 0;
    bool post = r->method_length == 4 && memcmp(bytes, "POST", 4) == 0;
    bool chat = ends_with(path, length, "/chat/completions");
    bool models = ends_with(path, length, "/models");
    bool stats = length == 6 && memcmp(path, "/stats", 6) == 0;
    if (chat && post) {
        int64_t latency = latency_of(path, length);
        const char *problem = latency < 0 ? "expected a path such as /after/50ms/v1"
                                          : problem_with(body, r->body_length);
        if (problem != NULL) {
            reply_error(c, "400 Bad Request", problem, r->keep_alive);
            return;
        }
        size_t size;
        char *json = completion(body, r->body_length, &size);
        server.requests++;
        reply_json(c, "200 OK", json, size, latency, true, r->keep_alive);
        free(json);
    } else if (stats && get) {
        bool reset = query != NULL && ends_with(path, r->path_length, "?reset");
        reply_stats(c, reset, r->keep_alive);
    } else if (models && get) {
        static const char json[] = "{\"object\":\"list\",\"data\":[{\"id\":\"bench\",\"object\":"
                                   "\"model\",\"created\":1767225600,\"owned_by\":\"loopback\"}]}";
        server.others++;
        reply_json(c, "200 OK", json, sizeof json - 1, 0, false, r->keep_alive);
    } else if (chat || stats || models) {
        reply_error(c, "405 Method Not Allowed", "this method is not known here", r->keep_alive);
    } else {
        reply_error(c, "404 Not Found", "there is nothing here", r->keep_alive);
    }
}

static const char *status_line(int status)
{
    switch (status) {
    case 413: return "413 Content Too Large";
    case 417: return "417 Expectation Failed";
    case 431: return "431 Request Header Fields Too Large";
    case 501: return "501 Not Implemented";
    case 505: return "505 HTTP Version Not Supported";
    default: return "400 Bad Request";
    }
}

void refuse_request(struct connection *c, int status)
{
    reply_error(c, status_line(status), "the request cannot be read", false);
}
