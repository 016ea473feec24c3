// SPDX-License-Identifier: Apache-2.0
// The gate: what it lets through, what it refuses and why, and that the way the bytes are split never matters.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http_gate.h"

// What came of one message.
struct outcome {
    enum bfr_gate_event last; // MORE, END or BAD
    enum bfr_refusal refusal;
    bool head;
    bool close;
    bool expect_continue;
    bool chunked;
    uint64_t length;
    char target[64];
    char filename[64];
    char body[256];
    size_t body_size;
    size_t used; // bytes of the message, without what follows
};

struct reading {
    struct bfr_gate gate;
    struct outcome out;
};

static void note_head(struct reading *r)
{
    struct bfr_span target = bfr_gate_target(&r->gate);
    struct bfr_span name = bfr_gate_value(&r->gate, BFR_HEADER_FILENAME);
    r->out.head = true;
    r->out.close = r->gate.close;
    r->out.expect_continue = r->gate.expect_continue;
    r->out.chunked = r->gate.chunked;
    r->out.length = r->gate.length;
    snprintf(r->out.target, sizeof r->out.target, "%.*s", (int)target.size, (const char *)target.data);
    if (name.data != NULL)
        snprintf(r->out.filename, sizeof r->out.filename, "%.*s", (int)name.size, (const char *)name.data);
}

// Feed one piece. The piece is a copy of exactly its size, so that a sanitizer sees a read beyond it.
static void feed(struct reading *r, const char *data, size_t size)
{
    uint8_t *piece = malloc(size + (size == 0));
    memcpy(piece, data, size);
    size_t at = 0;
    do {
        size_t used;
        r->out.last = bfr_gate_feed(&r->gate, piece + at, size - at, &used);
        at += used;
        r->out.used += used;
        if (r->out.last == BFR_GATE_HEAD)
            note_head(r);
        if (r->out.last == BFR_GATE_BODY) {
            size_t take = size - at < r->gate.body_left ? size - at : (size_t)r->gate.body_left;
            assert_true(r->out.body_size + take <= sizeof r->out.body);
            memcpy(r->out.body + r->out.body_size, piece + at, take);
            r->out.body_size += take;
            r->out.used += take;
            at += take;
            bfr_gate_take(&r->gate, take);
            if (take == 0)
                break;
        }
    } while (r->out.last == BFR_GATE_HEAD || r->out.last == BFR_GATE_BODY ||
             (r->out.last == BFR_GATE_MORE && at < size));
    if (r->out.last == BFR_GATE_BODY)
        r->out.last = BFR_GATE_MORE;
    r->out.refusal = r->gate.refusal;
    free(piece);
}

static struct outcome read_split(const char *text, size_t size, size_t first, size_t second)
{
    struct reading r = {0};
    bfr_gate_begin(&r.gate);
    feed(&r, text, first);
    if (r.out.last == BFR_GATE_MORE)
        feed(&r, text + first, second - first);
    if (r.out.last == BFR_GATE_MORE)
        feed(&r, text + second, size - second);
    bfr_gate_end(&r.gate);
    return r.out;
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->last, b->last);
    assert_int_equal(a->refusal, b->refusal);
    assert_int_equal(a->head, b->head);
    assert_int_equal(a->close, b->close);
    assert_int_equal(a->chunked, b->chunked);
    assert_int_equal(a->length, b->length);
    assert_string_equal(a->target, b->target);
    assert_string_equal(a->filename, b->filename);
    assert_int_equal(a->body_size, b->body_size);
    assert_memory_equal(a->body, b->body, a->body_size);
    if (a->last == BFR_GATE_END)
        assert_int_equal(a->used, b->used);
}

// Read whole, then at every pair of split positions and byte by byte.
static struct outcome read_every_way(const char *text, size_t size)
{
    struct outcome whole = read_split(text, size, size, size);
    for (size_t first = 0; first <= size; first++) {
        struct outcome split = read_split(text, size, first, first);
        assert_same(&whole, &split);
        size_t second = first + 1 + first % 7;
        split = read_split(text, size, first, second < size ? second : size);
        assert_same(&whole, &split);
    }
    struct reading r = {0};
    bfr_gate_begin(&r.gate);
    for (size_t i = 0; i < size && (i == 0 || r.out.last == BFR_GATE_MORE); i++)
        feed(&r, text + i, 1);
    bfr_gate_end(&r.gate);
    assert_same(&whole, &r.out);
    return whole;
}

#define H    "Host: r\r\n"
#define POST "POST /t/d HTTP/1.1\r\n" H

struct sample {
    const char *text;
    enum bfr_refusal refusal;
};

// One line for each rule, as near to a good request as can be.
static const struct sample bad[] = {
    // line ends
    {"POST /t/d HTTP/1.1\nHost: r\r\n\r\n", BFR_REFUSE_LINE_END},
    {POST "A: b\n\r\n", BFR_REFUSE_LINE_END},
    {POST "\n", BFR_REFUSE_LINE_END},
    {POST "A: b\rc\r\n\r\n", BFR_REFUSE_LINE_END},
    {POST "A: b\r\r\n\r\n", BFR_REFUSE_LINE_END},
    {"POST /t/d\r HTTP/1.1\r\n\r\n", BFR_REFUSE_LINE_END},
    {"\n", BFR_REFUSE_LINE_END},
    // request line
    {"\r\n\r\nGET / HTTP/1.1\r\n", BFR_REFUSE_REQUEST_LINE},
    {"POST\r\n", BFR_REFUSE_REQUEST_LINE},
    {"POST /t/d\r\n", BFR_REFUSE_REQUEST_LINE},
    {" POST /t/d HTTP/1.1\r\n", BFR_REFUSE_REQUEST_LINE},
    {"POST  /t/d HTTP/1.1\r\n", BFR_REFUSE_TARGET},
    {"POST /t/d  HTTP/1.1\r\n", BFR_REFUSE_TARGET},
    {"POST /t/d HTTP/1.1 \r\n", BFR_REFUSE_TARGET},
    {"PO ST /t/d HTTP/1.1\r\n", BFR_REFUSE_TARGET},
    {"PO(ST /t/d HTTP/1.1\r\n", BFR_REFUSE_REQUEST_LINE},
    {"POST\t/t/d HTTP/1.1\r\n", BFR_REFUSE_REQUEST_LINE},
    {"P\x80ST /t/d HTTP/1.1\r\n", BFR_REFUSE_REQUEST_LINE},
    {"POST /t/d http/1.1\r\n", BFR_REFUSE_REQUEST_LINE},
    {"POST /t/d HTTP/1.10\r\n", BFR_REFUSE_REQUEST_LINE},
    {"POST /t/d HTTP/2.0\r\n", BFR_REFUSE_VERSION},
    {"POST /t/d HTTP/1.2\r\n", BFR_REFUSE_VERSION},
    {"POST /t/d HTTP/0.9\r\n", BFR_REFUSE_VERSION},
    {"PRI * HTTP/2.0\r\n", BFR_REFUSE_TARGET},
    // target
    {"OPTIONS * HTTP/1.1\r\n", BFR_REFUSE_TARGET},
    {"POST http://r/t/d HTTP/1.1\r\n", BFR_REFUSE_TARGET},
    {"CONNECT r:80 HTTP/1.1\r\n", BFR_REFUSE_TARGET},
    {"POST t/d HTTP/1.1\r\n", BFR_REFUSE_TARGET},
    {"POST /t/d#x HTTP/1.1\r\n", BFR_REFUSE_TARGET},
    {"POST /t\x7f/d HTTP/1.1\r\n", BFR_REFUSE_TARGET},
    {"POST /t\xc3\xa4/d HTTP/1.1\r\n", BFR_REFUSE_TARGET},
    {"POST /t\x01/d HTTP/1.1\r\n", BFR_REFUSE_TARGET},
    // fields
    {POST "A : b\r\n\r\n", BFR_REFUSE_FIELD},
    {POST "A\t: b\r\n\r\n", BFR_REFUSE_FIELD},
    {POST ": b\r\n\r\n", BFR_REFUSE_FIELD},
    {POST "A\r\n\r\n", BFR_REFUSE_FIELD},
    {POST "A b: c\r\n\r\n", BFR_REFUSE_FIELD},
    {POST "A(b): c\r\n\r\n", BFR_REFUSE_FIELD},
    {POST "\xc3\xa4: c\r\n\r\n", BFR_REFUSE_FIELD},
    {POST "A: b\x01\r\n\r\n", BFR_REFUSE_FIELD},
    {POST "A: b\x7f\r\n\r\n", BFR_REFUSE_FIELD},
    {POST "A: b\r\n c\r\n\r\n", BFR_REFUSE_OBS_FOLD},
    {POST "A: b\r\n\tc\r\n\r\n", BFR_REFUSE_OBS_FOLD},
    {"POST /t/d HTTP/1.1\r\n Host: r\r\n\r\n", BFR_REFUSE_OBS_FOLD},
    // Host
    {"POST /t/d HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", BFR_REFUSE_HOST},
    {POST "Host: r\r\n\r\n", BFR_REFUSE_HOST},
    {POST "host: other\r\n\r\n", BFR_REFUSE_HOST},
    {"GET /health HTTP/1.1\r\nHost: a b\r\n\r\n", BFR_REFUSE_HOST},
    {"GET /health HTTP/1.1\r\nHost: a/b\r\n\r\n", BFR_REFUSE_HOST},
    {"GET /health HTTP/1.1\r\nHost: a@b\r\n\r\n", BFR_REFUSE_HOST},
    {"GET /health HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", BFR_REFUSE_HOST},
    // Content-Length
    {POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", BFR_REFUSE_CONTENT_LENGTH},
    {POST "Content-Length: 1, 1\r\n\r\nx", BFR_REFUSE_CONTENT_LENGTH},
    {POST "Content-Length: +1\r\n\r\nx", BFR_REFUSE_CONTENT_LENGTH},
    {POST "Content-Length: -1\r\n\r\nx", BFR_REFUSE_CONTENT_LENGTH},
    {POST "Content-Length: 0x1\r\n\r\nx", BFR_REFUSE_CONTENT_LENGTH},
    {POST "Content-Length: 1 1\r\n\r\nx", BFR_REFUSE_CONTENT_LENGTH},
    {POST "Content-Length:\r\n\r\nx", BFR_REFUSE_CONTENT_LENGTH},
    {POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", BFR_REFUSE_LENGTH_CONFLICT},
    {POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", BFR_REFUSE_LENGTH_CONFLICT},
    // Transfer-Encoding
    {POST "Transfer-Encoding: gzip, chunked\r\n\r\n", BFR_REFUSE_TRANSFER_ENCODING},
    {POST "Transfer-Encoding: chunked, chunked\r\n\r\n", BFR_REFUSE_TRANSFER_ENCODING},
    {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", BFR_REFUSE_TRANSFER_ENCODING},
    {POST "Transfer-Encoding: identity\r\n\r\n", BFR_REFUSE_TRANSFER_ENCODING},
    {POST "Transfer-Encoding: xchunked\r\n\r\n", BFR_REFUSE_TRANSFER_ENCODING},
    {POST "Transfer-Encoding:\r\n\r\n", BFR_REFUSE_TRANSFER_ENCODING},
    {"POST /t/d HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", BFR_REFUSE_TRANSFER_ENCODING},
    // a body where none belongs
    {"GET /health HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx", BFR_REFUSE_BODY_NOT_ALLOWED},
    {"HEAD /health HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx", BFR_REFUSE_BODY_NOT_ALLOWED},
    {"PUT /t/d HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx", BFR_REFUSE_BODY_NOT_ALLOWED},
    {"GET /health HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", BFR_REFUSE_BODY_NOT_ALLOWED},
// chunks
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
    {CHUNKED "1;a=b\r\nx\r\n0\r\n\r\n", BFR_REFUSE_CHUNK},
    {CHUNKED "1 \r\nx\r\n0\r\n\r\n", BFR_REFUSE_CHUNK},
    {CHUNKED " 1\r\nx\r\n0\r\n\r\n", BFR_REFUSE_CHUNK},
    {CHUNKED "0x1\r\nx\r\n0\r\n\r\n", BFR_REFUSE_CHUNK},
    {CHUNKED "-1\r\nx\r\n0\r\n\r\n", BFR_REFUSE_CHUNK},
    {CHUNKED "\r\nx\r\n0\r\n\r\n", BFR_REFUSE_CHUNK},
    {CHUNKED "1\nx\r\n0\r\n\r\n", BFR_REFUSE_CHUNK},
    {CHUNKED "1\rx\r\n0\r\n\r\n", BFR_REFUSE_CHUNK},
    {CHUNKED "1\r\nxy\r\n0\r\n\r\n", BFR_REFUSE_CHUNK},
    {CHUNKED "1\r\nx\n0\r\n\r\n", BFR_REFUSE_CHUNK},
    {CHUNKED "1\r\nx\r0\r\n\r\n", BFR_REFUSE_CHUNK},
    {CHUNKED "10000000000000000\r\nx", BFR_REFUSE_CHUNK},
    {CHUNKED "ffffffffffffffff\r\nx", BFR_REFUSE_CHUNK},
    {CHUNKED "0\r\nA : b\r\n\r\n", BFR_REFUSE_FIELD},
    {CHUNKED "0\r\nA: b\n\r\n", BFR_REFUSE_LINE_END},
    {CHUNKED "0\r\nA: b\r\n c\r\n\r\n", BFR_REFUSE_OBS_FOLD},
};

static void test_each_violation_is_refused_with_its_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct outcome out = read_every_way(bad[i].text, strlen(bad[i].text));
        if (out.last != BFR_GATE_BAD || out.refusal != bad[i].refusal)
            fail_msg("'%s': event %d, reason %d instead of %d", bad[i].text, out.last, out.refusal, bad[i].refusal);
    }
}

static void test_nul_is_refused_everywhere_in_a_head(void **state)
{
    (void)state;
    static const char good[] = POST "Content-Length: 1\r\nX-Y: z\r\n\r\n";
    for (size_t at = 0; at < sizeof good - 1; at++) {
        char text[sizeof good];
        memcpy(text, good, sizeof good);
        text[at] = '\0';
        struct outcome out = read_split(text, sizeof good - 1, sizeof good - 1, sizeof good - 1);
        // A NUL in place of the last line ends leaves the head unfinished; nothing else may pass.
        assert_false(out.head);
        if (at + 2 < sizeof good - 1)
            assert_int_equal(out.last, BFR_GATE_BAD);
    }
}

struct good {
    const char *text;
    const char *target;
    const char *body;
    bool close, expect, chunked;
    size_t rest; // bytes that belong to somebody else
};

static const struct good good[] = {
    {"GET /health HTTP/1.1\r\n" H "\r\n", "/health", "", false, false, false, 0},
    {"\r\nGET /health HTTP/1.1\r\n" H "\r\n", "/health", "", false, false, false, 0},
    {"GET /health?x=%20 HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", "/health?x=%20", "", false, false, false, 0},
    {"GET /health HTTP/1.0\r\n\r\n", "/health", "", true, false, false, 0},
    {"M-SEARCH / HTTP/1.1\r\nHost:\r\n\r\n", "/", "", false, false, false, 0},
    {POST "Content-Length: 3\r\n\r\nabc", "/t/d", "abc", false, false, false, 0},
    {POST "content-LENGTH:3\r\n\r\nabc", "/t/d", "abc", false, false, false, 0},
    {POST "Content-Length: \t 3 \t\r\n\r\nabc", "/t/d", "abc", false, false, false, 0},
    {POST "Content-Length: 003\r\n\r\nabcGET", "/t/d", "abc", false, false, false, 3},
    {POST "Content-Length: 0\r\n\r\n", "/t/d", "", false, false, false, 0},
    {POST "\r\n", "/t/d", "", false, false, false, 0},
    {POST "Connection: close\r\nContent-Length: 1\r\n\r\nx", "/t/d", "x", true, false, false, 0},
    {POST "Connection: keep-alive, CLOSE\r\nContent-Length: 1\r\n\r\nx", "/t/d", "x", true, false, false, 0},
    {POST "Connection: keep-alive\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", "/t/d", "x", true, false, false,
     0},
    {POST "Connection: closed\r\nContent-Length: 1\r\n\r\nx", "/t/d", "x", false, false, false, 0},
    {POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx", "/t/d", "x", false, true, false, 0},
    {"POST /t/d HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", "/t/d", "x", true, false, false, 0},
    {POST "X: \xc3\xa4\ty\r\nContent-Length: 1\r\n\r\n\r", "/t/d", "\r", false, false, false, 0},
    {CHUNKED "3\r\nabc\r\n0\r\n\r\n", "/t/d", "abc", false, false, true, 0},
    {CHUNKED "00a\r\n0123456789\r\n1\r\n\n\r\n0\r\n\r\nPOST", "/t/d", "0123456789\n", false, false, true, 4},
    {CHUNKED "B\r\n\r\n0\r\n\r\nGET\r\r\n000\r\nA: b\r\nC: d\r\n\r\n", "/t/d", "\r\n0\r\n\r\nGET\r", false, false, true,
     0},
    {CHUNKED "0\r\n\r\n", "/t/d", "", false, false, true, 0},
    {POST "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", "/t/d", "", false, false, true, 0},
};

static void test_each_good_message_is_read_exactly(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        size_t size = strlen(good[i].text);
        struct outcome out = read_every_way(good[i].text, size);
        if (out.last != BFR_GATE_END)
            fail_msg("'%s': event %d, reason %d", good[i].text, out.last, out.refusal);
        assert_string_equal(out.target, good[i].target);
        assert_int_equal(out.body_size, strlen(good[i].body));
        assert_memory_equal(out.body, good[i].body, out.body_size);
        assert_int_equal(out.close, good[i].close);
        assert_int_equal(out.expect_continue, good[i].expect);
        assert_int_equal(out.chunked, good[i].chunked);
        assert_int_equal(out.used, size - good[i].rest);
    }
}

static void test_every_cut_of_a_good_message_wants_more(void **state)
{
    (void)state;
    static const char text[] = CHUNKED "3\r\nabc\r\n0\r\nA: b\r\n\r\n";
    for (size_t size = 0; size < sizeof text - 1; size++) {
        struct outcome out = read_split(text, size, size, size);
        assert_int_equal(out.last, BFR_GATE_MORE);
    }
}

static void test_only_the_first_of_a_repeated_field_counts_and_both_are_counted(void **state)
{
    (void)state;
    static const char text[] = POST "X-Proxy-Filename: a\r\nx-proxy-filename: b\r\nContent-Length: 0\r\n\r\n";
    struct reading r = {0};
    bfr_gate_begin(&r.gate);
    feed(&r, text, sizeof text - 1);
    assert_string_equal(r.out.filename, "a");
    assert_int_equal(r.gate.known[BFR_HEADER_FILENAME].count, 2);
    assert_string_equal(bfr_gate_text(&r.gate, BFR_HEADER_FILENAME), "a");
    assert_null(bfr_gate_text(&r.gate, BFR_HEADER_ACCEPT));
    bfr_gate_end(&r.gate);
}

static void test_a_trailer_does_not_pass_for_a_header(void **state)
{
    (void)state;
    static const char text[] = CHUNKED "0\r\nX-Proxy-Filename: late\r\n\r\n";
    struct reading r = {0};
    bfr_gate_begin(&r.gate);
    feed(&r, text, sizeof text - 1);
    assert_int_equal(r.out.last, BFR_GATE_END);
    assert_int_equal(r.gate.known[BFR_HEADER_FILENAME].count, 0);
    bfr_gate_end(&r.gate);
}

// A head of exactly `size` bytes.
static char *make_head(size_t size)
{
    static const char start[] = POST "X: ";
    char *head = malloc(size + 1);
    memcpy(head, start, sizeof start - 1);
    memset(head + sizeof start - 1, 'a', size - (sizeof start - 1));
    memcpy(head + size - 4, "\r\n\r\n", 5);
    return head;
}

static void test_a_head_may_have_16_kib_and_no_byte_more(void **state)
{
    (void)state;
    for (size_t size = BFR_GATE_HEAD_MAX - 1; size <= BFR_GATE_HEAD_MAX + 1; size++) {
        char *head = make_head(size);
        struct outcome whole = read_split(head, size, size, size);
        struct outcome split = read_split(head, size, 1, 9000);
        assert_same(&whole, &split);
        assert_int_equal(whole.last, size <= BFR_GATE_HEAD_MAX ? BFR_GATE_END : BFR_GATE_BAD);
        assert_int_equal(whole.refusal, size <= BFR_GATE_HEAD_MAX ? BFR_REFUSE_NONE : BFR_REFUSE_HEAD_SIZE);
        free(head);
    }
}

static void test_a_head_may_have_100_fields_and_not_one_more(void **state)
{
    (void)state;
    for (unsigned count = 99; count <= 101; count++) {
        char text[2048] = POST;
        for (unsigned i = 1; i < count; i++)
            strcat(text, "A: b\r\n");
        strcat(text, "\r\n");
        struct outcome out = read_split(text, strlen(text), strlen(text), strlen(text));
        assert_int_equal(out.last, count <= 100 ? BFR_GATE_END : BFR_GATE_BAD);
        assert_int_equal(out.refusal, count <= 100 ? BFR_REFUSE_NONE : BFR_REFUSE_FIELD_COUNT);
    }
}

static void test_endless_trailers_are_refused(void **state)
{
    (void)state;
    struct reading r = {0};
    bfr_gate_begin(&r.gate);
    static const char start[] = CHUNKED "0\r\n";
    feed(&r, start, sizeof start - 1);
    for (unsigned i = 0; i < 200 && r.out.last == BFR_GATE_MORE; i++)
        feed(&r, "A: b\r\n", 6);
    assert_int_equal(r.out.refusal, BFR_REFUSE_FIELD_COUNT);
    bfr_gate_end(&r.gate);
}

static void test_a_length_beyond_64_bits_is_the_largest_length(void **state)
{
    (void)state;
    static const char *const numbers[] = {"18446744073709551615", "18446744073709551616", "99999999999999999999999999"};
    for (size_t i = 0; i < 3; i++) {
        char text[256];
        snprintf(text, sizeof text, POST "Content-Length: %s\r\n\r\n", numbers[i]);
        struct outcome out = read_split(text, strlen(text), strlen(text), strlen(text));
        assert_int_equal(out.last, BFR_GATE_MORE);
        assert_true(out.length == UINT64_MAX);
    }
}

static void test_every_field_that_is_decided_on_is_known_in_any_case(void **state)
{
    (void)state;
    static const struct {
        enum bfr_header header;
        const char *name;
    } known[] = {
        {BFR_HEADER_HOST, "host"},
        {BFR_HEADER_CONTENT_LENGTH, "content-length"},
        {BFR_HEADER_TRANSFER_ENCODING, "transfer-encoding"},
        {BFR_HEADER_CONNECTION, "connection"},
        {BFR_HEADER_EXPECT, "expect"},
        {BFR_HEADER_ACCEPT, "accept"},
        {BFR_HEADER_AUTHORIZATION, "authorization"},
        {BFR_HEADER_CONTENT_TYPE, "content-type"},
        {BFR_HEADER_CONTENT_ENCODING, "content-encoding"},
        {BFR_HEADER_CONTENT_DIGEST, "content-digest"},
        {BFR_HEADER_CONTENT_SHA256, "x-content-sha256"},
        {BFR_HEADER_BATCH_ID, "x-proxy-batch-id"},
        {BFR_HEADER_LINE_COUNT, "x-proxy-line-count"},
        {BFR_HEADER_ORIGINAL_BYTES, "x-proxy-original-bytes"},
        {BFR_HEADER_CREATED_AT, "x-proxy-created-at"},
        {BFR_HEADER_DATA_HINT, "x-proxy-data-hint"},
        {BFR_HEADER_FILENAME, "x-proxy-filename"},
        {BFR_HEADER_TEST, "x-proxy-test"},
        {BFR_HEADER_PLUGIN, "x-proxy-plugin"},
    };
    assert_int_equal(sizeof known / sizeof known[0], BFR_HEADER_COUNT - 1);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        char upper[32] = "";
        for (size_t k = 0; known[i].name[k] != '\0'; k++)
            upper[k] = (char)toupper((unsigned char)known[i].name[k]);
        size_t size = strlen(known[i].name);
        assert_int_equal(bfr_header_find(known[i].name, size), known[i].header);
        assert_int_equal(bfr_header_find(upper, size), known[i].header);
        upper[size - 1] = '!';
        assert_int_equal(bfr_header_find(upper, size), BFR_HEADER_OTHER);
    }
    assert_int_equal(bfr_header_find("a-field-that-is-longer-than-all-of-them", 39), BFR_HEADER_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_violation_is_refused_with_its_reason),
        cmocka_unit_test(test_nul_is_refused_everywhere_in_a_head),
        cmocka_unit_test(test_each_good_message_is_read_exactly),
        cmocka_unit_test(test_every_cut_of_a_good_message_wants_more),
        cmocka_unit_test(test_only_the_first_of_a_repeated_field_counts_and_both_are_counted),
        cmocka_unit_test(test_a_trailer_does_not_pass_for_a_header),
        cmocka_unit_test(test_a_head_may_have_16_kib_and_no_byte_more),
        cmocka_unit_test(test_a_head_may_have_100_fields_and_not_one_more),
        cmocka_unit_test(test_endless_trailers_are_refused),
        cmocka_unit_test(test_a_length_beyond_64_bits_is_the_largest_length),
        cmocka_unit_test(test_every_field_that_is_decided_on_is_known_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
