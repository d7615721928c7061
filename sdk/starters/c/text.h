// Text as the world has it: bytes of UTF-8 with a length and no end mark.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "strategy.h"

// A view of bytes that something else owns.
struct text {
  const char *ptr;
  size_t len;
};

// A view of a literal.
#define text(literal) ((struct text){(literal), sizeof(literal) - 1})

// The two arguments that "%.*s" takes.
#define TEXT(text) (int)(text).len, (text).ptr

// malloc that never answers NULL: out of memory is a trap.
void *allocate(size_t bytes);

// A view of a string of the world.
struct text text_of(const strategy_string_t *string);

// A string of the world that still belongs to whoever owns the text: for the arguments of imports.
strategy_string_t text_lend(struct text text);

// A copy that is the server's to read and to free: for what an export hands back.
strategy_string_t text_copy(struct text text);

// Like printf, into a string that text_copy could have made.
strategy_string_t format(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Adds what `format` made, and frees it.
void extend(strategy_string_t *string, strategy_string_t more);

bool text_equal(struct text a, struct text b);
bool text_contains(struct text text, struct text part);

// The words of a text in lower case, each between two spaces: whole words and phrases are then found as plain text.
// What is not ASCII counts as a letter and stays as it is. To be freed by its `ptr`.
struct text text_fold(struct text text);
