#define _GNU_SOURCE

#include "request.h"

#include <string.h>
#include <strings.h>

static enum progress refuse(int *status, int with)
{
    *status = with;
    return REFUSED;
}

static bool is_token(const char *text, size_t length, const char *token)
{
    return length == strlen(token) && strncasecmp(text, token, length) == 0;
}

/* Whether a list such as `keep-alive, Upgrade` has the token. */
static bool lists(const char *text, size_t length, const char *token)
{
    size_t start = 0;
    for (size_t i = 0; i <= length; i++) {
        if (i < length && text[i] != ',')
            continue;
        size_t from = start, to = i;
        while (from < to && (text[from] == ' ' || text[from] == '\t'))
            from++;
        while (to > from && (text[to - 1] == ' ' || text[to - 1] == '\t'))
            to--;
        if (is_token(text + from, to - from, token))
            return true;
        start = i + 1;
    }
    return false;
}

/* A whole number without a sign; false if it is none, or larger than `most`. */
static bool read_number(const char *text, size_t length, unsigned base, size_t most, size_t *number)
{
    if (length == 0)
        return false;
    *number = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 16;
        if (digit >= base)
            return false;
        *number = *number * base + digit;
        if (*number > most)
            *number = most + 1; /* and stays so: no overflow however long it is */
    }
    return true;
}

static enum progress read_request_line(struct request *r, const char *line, size_t length,
                                       int *status)
{
    const char *first = memchr(line, ' ', length);
    if (first == NULL || first == line)
        return refuse(status, 400);
    const char *second = memchr(first + 1, ' ', length - (size_t)(first + 1 - line));
    if (second == NULL || second == first + 1)
        return refuse(status, 400);
    r->method_length = (size_t)(first - line);
    r->path = (size_t)(first + 1 - line);
    r->path_length = (size_t)(second - first - 1);
    const char *version = second + 1;
    size_t version_length = length - (size_t)(version - line);
    if (!is_token(version, version_length, "HTTP/1.1")) {
        if (!is_token(version, version_length, "HTTP/1.0"))
            return refuse(status, 505);
        r->keep_alive = false;
    }
    return INCOMPLETE;
}

struct framing {
    bool has_length, chunked;
    size_t length;
};

static enum progress read_header(struct request *r, struct framing *framing, const char *line,
                                 size_t length, int *status)
{
    const char *colon = memchr(line, ':', length);
    if (colon == NULL || colon == line || colon[-1] == ' ' || colon[-1] == '\t')
        return refuse(status, 400);
    size_t name = (size_t)(colon - line);
    const char *value = colon + 1, *end = line + length;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t size = (size_t)(end - value);
    if (is_token(line, name, "content-length")) {
        size_t found;
        if (!read_number(value, size, 10, LONGEST_BODY, &found))
            return refuse(status, 400);
        if (framing->has_length && found != framing->length)
            return refuse(status, 400);
        framing->has_length = true;
        framing->length = found;
    } else if (is_token(line, name, "transfer-encoding")) {
        if (!is_token(value, size, "chunked"))
            return refuse(status, 501);
        framing->chunked = true;
    } else if (is_token(line, name, "connection")) {
        if (lists(value, size, "close"))
            r->keep_alive = false;
        else if (lists(value, size, "keep-alive"))
            r->keep_alive = true;
    } else if (is_token(line, name, "expect")) {
        if (!is_token(value, size, "100-continue"))
            return refuse(status, 417);
        r->expects_continue = true;
    }
    return INCOMPLETE;
}

static enum progress read_head(struct request *r, const char *bytes, size_t length, int *status)
{
    size_t from = r->scanned > 3 ? r->scanned - 3 : 0;
    const char *end = memmem(bytes + from, length - from, "\r\n\r\n", 4);
    r->scanned = length;
    if (end == NULL)
        return length > LONGEST_HEAD ? refuse(status, 431) : INCOMPLETE;
    size_t head = (size_t)(end - bytes) + 4;
    if (head > LONGEST_HEAD)
        return refuse(status, 431);
    struct framing framing = {0};
    r->keep_alive = true;
    for (size_t start = 0; start + 2 < head;) {
        const char *line = bytes + start;
        size_t size = (size_t)((const char *)memmem(line, head - start, "\r\n", 2) - line);
        enum progress found = start == 0 ? read_request_line(r, line, size, status)
                                         : read_header(r, &framing, line, size, status);
        if (found == REFUSED)
            return REFUSED;
        start += size + 2;
    }
    /* Whoever sends both may mean to smuggle a request. */
    if (framing.has_length && framing.chunked)
        return refuse(status, 400);
    if (framing.length > LONGEST_BODY)
        return refuse(status, 413);
    r->read = r->body = head;
    r->state = framing.chunked ? CHUNK_SIZE : WHOLE_BODY;
    r->left = framing.length;
    return INCOMPLETE;
}

/* The end of a line from `read` on, or NULL if it is not there yet. */
static const char *line_end(const struct request *r, const char *bytes, size_t length)
{
    return memmem(bytes + r->read, length - r->read, "\r\n", 2);
}

static enum progress read_chunk_size(struct request *r, const char *bytes, size_t length,
                                     int *status)
{
    const char *line = bytes + r->read, *end = line_end(r, bytes, length);
    if (end == NULL)
        return length - r->read > LONGEST_HEAD ? refuse(status, 400) : INCOMPLETE;
    size_t size = (size_t)(end - line);
    const char *extension = memchr(line, ';', size);
    size_t digits = extension == NULL ? size : (size_t)(extension - line);
    while (digits > 0 && line[digits - 1] == ' ')
        digits--;
    if (!read_number(line, digits, 16, LONGEST_BODY, &r->left))
        return refuse(status, 400);
    if (r->left > LONGEST_BODY - r->body_length)
        return refuse(status, 413);
    r->read += size + 2;
    r->state = r->left == 0 ? TRAILER : CHUNK_DATA;
    return COMPLETE;
}

/* Each returns COMPLETE when it has done its step, for the next one to go on. */
static enum progress read_chunked(struct request *r, char *bytes, size_t length, int *status)
{
    if (r->state == CHUNK_SIZE)
        return read_chunk_size(r, bytes, length, status);
    if (r->state == CHUNK_DATA) {
        size_t there = length - r->read < r->left ? length - r->read : r->left;
        memmove(bytes + r->body + r->body_length, bytes + r->read, there);
        r->body_length += there;
        r->read += there;
        r->left -= there;
        if (r->left > 0)
            return INCOMPLETE;
        r->state = CHUNK_END;
        return COMPLETE;
    }
    if (r->state == CHUNK_END) {
        if (length - r->read < 2)
            return INCOMPLETE;
        if (memcmp(bytes + r->read, "\r\n", 2) != 0)
            return refuse(status, 400);
        r->read += 2;
        r->state = CHUNK_SIZE;
        return COMPLETE;
    }
    const char *end = line_end(r, bytes, length);
    if (end == NULL)
        return length - r->read > LONGEST_HEAD ? refuse(status, 400) : INCOMPLETE;
    bool last = end == bytes + r->read;
    r->read = (size_t)(end - bytes) + 2;
    if (last)
        r->state = WHOLE_BODY; /* it has been read, and nothing is left of it */
    return COMPLETE;
}

enum progress read_request(struct request *r, char *bytes, size_t length, int *status)
{
    if (r->state == HEAD) {
        if (read_head(r, bytes, length, status) == REFUSED)
            return REFUSED;
        if (r->state == HEAD)
            return INCOMPLETE;
    }
    while (r->state != WHOLE_BODY) {
        enum progress found = read_chunked(r, bytes, length, status);
        if (found != COMPLETE)
            return found;
    }
    if (r->left > 0) { /* a body of known length, to be had in one piece */
        if (length - r->read < r->left)
            return INCOMPLETE;
        r->body_length = r->left;
        r->read += r->left;
        r->left = 0;
    }
    return COMPLETE;
}
