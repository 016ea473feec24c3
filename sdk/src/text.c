// SPDX-License-Identifier: Apache-2.0
// Small helpers over the host table: error text, log lines, single completions, hex. Keeps no state, allocates nothing,
// takes no lock; every function may be called from any thread.
#include <bfr/text.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "print.h"

enum { MAX_FIELDS = 2 * 16 }; // keys and values

// The length of `text` (at most `limit` bytes) without an incomplete UTF-8 character at its end. Bytes that are no UTF-8
// at all are left alone: a path may hold anything, and a log line with it is better than one without.
static size_t whole_characters(const char *text, size_t limit)
{
    size_t length = strnlen(text, limit);
    size_t lead = length;
    while (lead > 0 && length - lead < 3 && ((unsigned char)text[lead - 1] & 0xC0) == 0x80)
        lead--;
    if (lead == 0)
        return length;
    unsigned char first = (unsigned char)text[lead - 1];
    size_t wanted = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
    return length - (lead - 1) < wanted ? lead - 1 : length;
}

void bfr_print(char *out, size_t room, const char *format, va_list arguments)
{
    char line[sizeof(((struct bfr_err *)0)->text)];
    size_t limit = room < sizeof line ? room : sizeof line;
    int needed = vsnprintf(line, limit, format, arguments);
    if (needed < 0)
        line[0] = '\0';
    else if ((size_t)needed >= limit)
        line[whole_characters(line, limit - 1)] = '\0';
    memcpy(out, line, strlen(line) + 1);
}

// err->size is not consulted: the text has had this length since 1.0 and everything newer comes behind it.
uint32_t bfr_err_set(struct bfr_err *err, uint32_t status, const char *format, ...)
{
    if (err != NULL) {
        va_list arguments;
        va_start(arguments, format);
        bfr_print(err->text, sizeof err->text, format, arguments);
        va_end(arguments);
    }
    return status;
}

void bfr_err_prefix(struct bfr_err *err, const char *format, ...)
{
    if (err == NULL)
        return;
    char context[sizeof err->text];
    va_list arguments;
    va_start(arguments, format);
    bfr_print(context, sizeof context, format, arguments);
    va_end(arguments);
    bfr_err_set(err, BFR_OK, "%s: %s", context, err->text);
}

struct bfr_number bfr_num(int64_t value)
{
    struct bfr_number number;
    snprintf(number.text, sizeof number.text, "%" PRId64, value);
    return number;
}

void bfr_log(const struct bfr_host *host, uint32_t level, const char *message, ...)
{
    const char *fields[MAX_FIELDS + 1];
    size_t count = 0;
    va_list arguments;
    va_start(arguments, message);
    while (count < MAX_FIELDS) {
        const char *key = va_arg(arguments, const char *);
        const char *value = key != NULL ? va_arg(arguments, const char *) : NULL;
        if (value == NULL)
            break;
        fields[count++] = key;
        fields[count++] = value;
    }
    va_end(arguments);
    fields[count] = NULL;
    host->log(host, level, message, fields);
}

static void complete_one(const struct bfr_host *host, const struct bfr_completion *completion)
{
    const struct bfr_completion *const list[] = {completion};
    host->complete(host, list, 1);
}

void bfr_complete_stored(const struct bfr_host *host, const struct bfr_delivery *delivery)
{
    complete_one(host, &(struct bfr_completion){
                           .size = sizeof(struct bfr_completion),
                           .outcome = BFR_STORED,
                           .token = delivery->token,
                       });
}

void bfr_complete_retry(const struct bfr_host *host, const struct bfr_delivery *delivery, uint32_t flags,
                        const char *text)
{
    complete_one(host, &(struct bfr_completion){
                           .size = sizeof(struct bfr_completion),
                           .outcome = BFR_RETRY,
                           .token = delivery->token,
                           .flags = flags,
                           .text = text,
                       });
}

void bfr_complete_reject(const struct bfr_host *host, const struct bfr_delivery *delivery, uint32_t reason,
                         const char *text)
{
    complete_one(host, &(struct bfr_completion){
                           .size = sizeof(struct bfr_completion),
                           .outcome = BFR_REJECT,
                           .token = delivery->token,
                           .reason = reason,
                           .text = text,
                       });
}

void bfr_hex(const uint8_t *data, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * size] = '\0';
}

const char *bfr_reason_name(uint32_t reason)
{
    static const char *const names[] = {
        [BFR_REASON_CONFLICT] = "conflict", [BFR_REASON_REJECTED] = "rejected", [BFR_REASON_ATTEMPTS] = "attempts",
        [BFR_REASON_BAD_GZIP] = "bad_gzip", [BFR_REASON_DAMAGED] = "damaged",   [BFR_REASON_ADOPTED] = "adopted",
        [BFR_REASON_EXPIRED] = "expired",
    };
    return reason >= BFR_REASON_CONFLICT && reason <= BFR_REASON_EXPIRED ? names[reason] : "unknown";
}
