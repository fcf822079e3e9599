#include "replies.h"

#include <stdlib.h>

static bool before(const struct reply *a, const struct reply *b)
{
    return a->due != b->due ? a->due < b->due : a->number < b->number;
}

void push(struct heap *heap, struct reply *reply)
{
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity == 0 ? 1024 : heap->capacity * 2;
        heap->replies = realloc(heap->replies, heap->capacity * sizeof *heap->replies);
        if (heap->replies == NULL)
            abort(); /* out of memory */
    }
    size_t at = heap->count++;
    while (at > 0 && before(reply, heap->replies[(at - 1) / 2])) {
        heap->replies[at] = heap->replies[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->replies[at] = reply;
}

struct reply *pop(struct heap *heap)
{
    struct reply *first = heap->replies[0], *last = heap->replies[--heap->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && before(heap->replies[child + 1], heap->replies[child]))
            child++;
        if (!before(heap->replies[child], last))
            break;
        heap->replies[at] = heap->replies[child];
        at = child;
    }
    heap->replies[at] = last;
    return first;
}
