#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *allocate(size_t bytes) {
  void *memory = malloc(bytes > 0 ? bytes : 1);
  if (!memory) abort();
  return memory;
}

struct text text_of(const strategy_string_t *string) {
  return (struct text){(const char *)string->ptr, string->len};
}

strategy_string_t text_lend(struct text text) {
  return (strategy_string_t){(uint8_t *)text.ptr, text.len};
}

strategy_string_t text_copy(struct text text) {
  strategy_string_t copy = {allocate(text.len), text.len};
  if (text.len > 0) memcpy(copy.ptr, text.ptr, text.len);
  return copy;
}

strategy_string_t format(const char *format, ...) {
  va_list once, again;
  va_start(once, format);
  va_copy(again, once);
  size_t len = (size_t)vsnprintf(NULL, 0, format, once);
  strategy_string_t string = {allocate(len + 1), len};
  vsnprintf((char *)string.ptr, len + 1, format, again);
  va_end(again);
  va_end(once);
  return string;
}

void extend(strategy_string_t *string, strategy_string_t more) {
  string->ptr = realloc(string->ptr, string->len + more.len);
  if (!string->ptr) abort();
  memcpy(string->ptr + string->len, more.ptr, more.len);
  string->len += more.len;
  strategy_string_free(&more);
}

bool text_equal(struct text a, struct text b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool text_contains(struct text text, struct text part) {
  if (part.len == 0) return true;
  const char *end = text.ptr + text.len;
  for (const char *at = text.ptr; (size_t)(end - at) >= part.len; at++) {
    at = memchr(at, part.ptr[0], (size_t)(end - at) - part.len + 1);
    if (!at) return false;
    if (memcmp(at, part.ptr, part.len) == 0) return true;
  }
  return false;
}

struct text text_fold(struct text text) {
  char *folded = allocate(text.len + 2);
  size_t len = 0;
  folded[len++] = ' ';
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
    bool in_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80;
    if (in_word) {
      folded[len++] = (char)c;
    } else if (folded[len - 1] != ' ') {
      folded[len++] = ' ';
    }
  }
  if (folded[len - 1] != ' ') folded[len++] = ' ';
  return (struct text){folded, len};
}
