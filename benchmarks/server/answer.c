#define _GNU_SOURCE

#include "answer.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWERS 4
#define BYTES_PER_TOKEN 4

/* FNV-1a. */
static uint64_t hash(const char *text, size_t length)
{
    uint64_t value = 14695981039346656037u;
    for (size_t i = 0; i < length; i++)
        value = (value ^ (unsigned char)text[i]) * 1099511628211u;
    return value ^ (value >> 32);
}

/* What stands after `"name":`, or NULL. Not in a string: there, quotes have backslashes. */
static const char *value_of(const char *body, size_t length, const char *name)
{
    char quoted[32];
    size_t size = (size_t)snprintf(quoted, sizeof quoted, "\"%s\"", name);
    const char *at = body, *end = body + length;
    while ((at = memmem(at, (size_t)(end - at), quoted, size)) != NULL) {
        at += size;
        const char *value = at;
        while (value < end && strchr(" \t\r\n", *value) != NULL)
            value++;
        if (value < end && *value == ':') {
            value++;
            while (value < end && strchr(" \t\r\n", *value) != NULL)
                value++;
            return value < end ? value : NULL;
        }
    }
    return NULL;
}

/* The length of a JSON string without its quotes; it begins at its first one. */
static size_t string_length(const char *string, const char *end)
{
    const char *at = string + 1;
    while (at < end && *at != '"')
        at += *at == '\\' && at + 1 < end ? 2 : 1;
    return (size_t)(at - string - 1);
}

const char *problem_with(const char *body, size_t length)
{
    size_t start = 0;
    while (start < length && strchr(" \t\r\n", body[start]) != NULL)
        start++;
    if (start == length || body[start] != '{')
        return "the body is no JSON object";
    if (value_of(body, length, "messages") == NULL)
        return "messages is missing";
    const char *stream = value_of(body, length, "stream");
    if (stream != NULL && (size_t)(body + length - stream) >= 4 && memcmp(stream, "true", 4) == 0)
        return "this server does not stream";
    return NULL;
}

char *completion(const char *body, size_t length, size_t *answer_length)
{
    uint64_t digest = hash(body, length);
    const char *name = value_of(body, length, "model");
    size_t name_length = 0;
    if (name != NULL && *name == '"')
        name_length = string_length(name, body + length);
    /* DSPy asks for fields between markers, and asks again where they are missing. */
    static const char marker[] = "[[ ## answer ## ]]";
    bool marked = memmem(body, length, marker, sizeof marker - 1) != NULL;
    char content[96];
    int content_length =
        snprintf(content, sizeof content,
                 marked ? "[[ ## answer ## ]]\\n%d\\n\\n[[ ## completed ## ]]" : "Answer: %d",
                 (int)(digest % ANSWERS));
    size_t asked = length / BYTES_PER_TOKEN + 1;
    size_t said = (size_t)content_length / BYTES_PER_TOKEN + 1;
    char *text = NULL;
    int written = asprintf(
        &text,
        "{\"id\":\"chatcmpl-%016" PRIx64 "\",\"object\":\"chat.completion\",\"created\":1767225600,"
        "\"model\":\"%.*s\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
        "\"content\":\"%s\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu}}",
        digest, (int)name_length, name_length > 0 ? name + 1 : "", content, asked, said,
        asked + said);
    if (written < 0)
        abort(); /* out of memory */
    *answer_length = (size_t)written;
    return text;
}
