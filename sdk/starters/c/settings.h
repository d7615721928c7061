// What an operator sets.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "text.h"

// settings.schema.json, a JSON Schema (2020-12): the server checks settings with it, and the designer makes its form of
// it.
extern const char SETTINGS_SCHEMA[];

struct word {
  struct text written;
  // As text_fold makes it. Left empty by settings_read.
  struct text folded;
};

struct item {
  struct text key, value;
};

struct rule {
  struct word *words;
  size_t words_len;
  struct text outcome;
  uint16_t priority;
  struct item *attach;
  size_t attach_len;
};

struct limit {
  struct text queue;
  uint32_t waiting;
};

struct settings {
  struct rule *rules;
  size_t rules_len;
  struct text vip_table;
  struct limit *busy;
  size_t busy_len;
};

// Reads JSON that fits the schema, as everything does that the server hands to `configure`. It lives as long as the
// instance.
struct settings settings_read(struct text json);
