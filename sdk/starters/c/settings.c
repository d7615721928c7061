#include "settings.h"

#include <stdlib.h>
#include <string.h>

// Header-only: it finds where in the text each value is, and no more.
#define JSMN_STATIC
#define JSMN_STRICT
#include "jsmn.h"

const char SETTINGS_SCHEMA[] =
// settings.schema.json as literals, made by the Makefile.
#include "schema.inc"
    ;

// JSON cut into tokens: a value's members and elements come after it, in order.
struct json {
  struct text text;
  const jsmntok_t *tokens;
  size_t len;
};

// The token after a value and all that is in it.
static size_t after(const struct json *json, size_t at) {
  int end = json->tokens[at].end;
  do at++;
  while (at < json->len && json->tokens[at].start < end);
  return at;
}

// Where the value of an object's member is; 0 where there is no such member.
static size_t member(const struct json *json, size_t object, const char *name) {
  size_t key = object + 1;
  for (int i = 0; i < json->tokens[object].size; i++, key = after(json, key + 1)) {
    const jsmntok_t *token = &json->tokens[key];
    struct text found = {json->text.ptr + token->start, (size_t)(token->end - token->start)};
    if (text_equal(found, (struct text){name, strlen(name)})) return key + 1;
  }
  return 0;
}

static unsigned hex4(const char *digits) {
  char copy[5] = {digits[0], digits[1], digits[2], digits[3], 0};
  return (unsigned)strtoul(copy, NULL, 16);
}

static size_t put_utf8(char *to, unsigned code) {
  if (code < 0x80) {
    to[0] = (char)code;
    return 1;
  }
  size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = len - 1; i > 0; i--, code >>= 6) to[i] = (char)(0x80 | (code & 0x3f));
  to[0] = (char)((0xf00 >> len) | code);
  return len;
}

// A string with its escapes resolved; empty where there is none.
static struct text string(const struct json *json, size_t at) {
  if (at == 0) return text("");
  const char *from = json->text.ptr + json->tokens[at].start, *end = json->text.ptr + json->tokens[at].end;
  // An escape is never shorter than what it stands for.
  char *to = allocate((size_t)(end - from));
  size_t len = 0;
  while (from < end) {
    if (*from != '\\') {
      to[len++] = *from++;
      continue;
    }
    from += 2;
    switch (from[-1]) {
      case 'b': to[len++] = '\b'; break;
      case 'f': to[len++] = '\f'; break;
      case 'n': to[len++] = '\n'; break;
      case 'r': to[len++] = '\r'; break;
      case 't': to[len++] = '\t'; break;
      case 'u': {
        unsigned code = hex4(from);
        from += 4;
        // Two of them make one character past U+FFFF.
        if (code >= 0xd800 && code < 0xdc00) {
          code = 0x10000 + ((code - 0xd800) << 10) + (hex4(from + 2) - 0xdc00);
          from += 6;
        }
        len += put_utf8(to + len, code);
        break;
      }
      default: to[len++] = from[-1];
    }
  }
  return (struct text){to, len};
}

static uint32_t number(const struct json *json, size_t at) {
  return at == 0 ? 0 : (uint32_t)strtoul(json->text.ptr + json->tokens[at].start, NULL, 10);
}

// How many elements an array has; 0 where there is none.
static size_t length(const struct json *json, size_t at) {
  return at == 0 ? 0 : (size_t)json->tokens[at].size;
}

static struct rule rule_read(const struct json *json, size_t at) {
  struct rule rule = {0};
  size_t words = member(json, at, "words"), attach = member(json, at, "attach");
  rule.outcome = string(json, member(json, at, "outcome"));
  rule.priority = (uint16_t)number(json, member(json, at, "priority"));
  rule.words = allocate(length(json, words) * sizeof *rule.words);
  for (size_t i = words + 1; rule.words_len < length(json, words); i = after(json, i)) {
    rule.words[rule.words_len++] = (struct word){.written = string(json, i)};
  }
  rule.attach = allocate(length(json, attach) * sizeof *rule.attach);
  for (size_t i = attach + 1; rule.attach_len < length(json, attach); i = after(json, i)) {
    struct item item = {string(json, member(json, i, "key")), string(json, member(json, i, "value"))};
    rule.attach[rule.attach_len++] = item;
  }
  return rule;
}

struct settings settings_read(struct text text) {
  jsmn_parser parser;
  jsmn_init(&parser);
  int len = jsmn_parse(&parser, text.ptr, text.len, NULL, 0);
  if (len < 1) abort();
  jsmntok_t *tokens = allocate((size_t)len * sizeof *tokens);
  jsmn_init(&parser);
  jsmn_parse(&parser, text.ptr, text.len, tokens, (unsigned)len);

  struct json json = {text, tokens, (size_t)len};
  struct settings settings = {0};
  size_t rules = member(&json, 0, "rules"), busy = member(&json, 0, "busy");
  settings.vip_table = string(&json, member(&json, 0, "vip_table"));
  settings.rules = allocate(length(&json, rules) * sizeof *settings.rules);
  for (size_t i = rules + 1; settings.rules_len < length(&json, rules); i = after(&json, i)) {
    settings.rules[settings.rules_len++] = rule_read(&json, i);
  }
  settings.busy = allocate(length(&json, busy) * sizeof *settings.busy);
  for (size_t i = busy + 1; settings.busy_len < length(&json, busy); i = after(&json, i)) {
    struct limit limit = {string(&json, member(&json, i, "queue")), number(&json, member(&json, i, "waiting"))};
    settings.busy[settings.busy_len++] = limit;
  }
  free(tokens);
  return settings;
}
