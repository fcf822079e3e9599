/* What the server says, as a function of the request alone. */

#ifndef ANSWER_H
#define ANSWER_H

#include <stddef.h>

/* A completion of the body of a request to /chat/completions: JSON, to be freed. The answer is one
   of a few numbers, by a hash of the body, so that a vote has something to count. */
char *completion(const char *body, size_t length, size_t *answer_length);

/* Why a body cannot be answered; NULL if it can. */
const char *problem_with(const char *body, size_t length);

#endif
