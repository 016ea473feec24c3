// SPDX-License-Identifier: Apache-2.0
// Content-Digest and X-Content-SHA256: which fields say something, and which are refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http_digest.h"

// The SHA-256 of "hello".
#define BASE64 "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
#define BARE   "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"
#define HEX    "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define OTHER  "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define GOOD   "sha-256=:" BASE64 ":"

static enum bfr_refusal read_head(const char *fields, struct bfr_stated_digest *out)
{
    char head[4096];
    struct bfr_gate gate;
    size_t used;
    int size = snprintf(head, sizeof head, "POST /acme/fw HTTP/1.1\r\nHost: r\r\nContent-Length: 5\r\n%s\r\n", fields);
    bfr_gate_begin(&gate);
    assert_int_equal(bfr_gate_feed(&gate, (const uint8_t *)head, (size_t)size, &used), BFR_GATE_HEAD);
    enum bfr_refusal refusal = bfr_digest_read(&gate, out);
    bfr_gate_end(&gate);
    return refusal;
}

static void assert_hello(const struct bfr_stated_digest *digest)
{
    static const uint8_t begin[] = {0x2c, 0xf2, 0x4d, 0xba};
    assert_true(digest->stated);
    assert_memory_equal(digest->sha256, begin, 4);
    assert_int_equal(digest->sha256[31], 0x24);
}

static void test_a_stated_digest_is_read(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "Content-Digest: " GOOD "\r\n",
        "content-digest:" GOOD "\r\n",
        "Content-Digest: sha-256=:" BARE ":\r\n",
        "Content-Digest: sha-512=:AAAA:, " GOOD "\r\n",
        "Content-Digest: " GOOD " ,\tunixsum=:AAA=:,md5=::\r\n",
        "Content-Digest: " GOOD ";a;b=1;  c=-1.5;d=\"x,\\\"y\";e=tok/en:;f=?0;*g=:AA==:\r\n",
        "Content-Digest: sha-256=:" OTHER ":, " GOOD "\r\n", // the last one counts
        "Content-Digest: sha-512=:AAAA:\r\nContent-Digest: " GOOD "\r\n",
        "Content-Digest: " GOOD "\r\nX-Other: 1\r\nContent-Digest: sha-512=:AAAA:\r\n",
        "X-Content-SHA256: " HEX "\r\n",
        "x-content-sha256: 2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824\r\n",
        "X-Content-SHA256: " HEX "\r\nContent-Digest: " GOOD "\r\n",
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct bfr_stated_digest digest;
        assert_int_equal(read_head(fields[i], &digest), BFR_REFUSE_NONE);
        assert_hello(&digest);
    }
}

static void test_other_algorithms_and_no_field_state_nothing(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "",
        "Content-Digest:\r\n",
        "Content-Digest: sha-512=:AAAA:\r\n",
        "Content-Digest: *.x_-=:AA==:\r\n",
        "Content-Digest: sha-2566=:AA:\r\n",
        "Repr-Digest: not even close\r\n",
        "Digest: SHA-256=x\r\n",
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct bfr_stated_digest digest;
        assert_int_equal(read_head(fields[i], &digest), BFR_REFUSE_NONE);
        assert_false(digest.stated);
    }
}

static void test_a_malformed_digest_is_refused(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "Content-Digest: sha-256=" BASE64 "\r\n",
        "Content-Digest: sha-256=:" BASE64 "\r\n",
        "Content-Digest: sha-256=:" BASE64 "=:\r\n",
        "Content-Digest: sha-256= :" BASE64 ":\r\n",
        "Content-Digest: sha-256 =:" BASE64 ":\r\n",
        "Content-Digest: SHA-256=:" BASE64 ":\r\n",
        "Content-Digest: sha-256\r\n",
        "Content-Digest: sha-256=::\r\n",
        "Content-Digest: sha-256=:AAAA:\r\n",
        "Content-Digest: sha-256=:A" BASE64 ":\r\n",
        "Content-Digest: sha-256=:_-JNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:\r\n",
        "Content-Digest: sha-256=\"" BASE64 "\"\r\n",
        "Content-Digest: " GOOD ",\r\n",
        "Content-Digest: ," GOOD "\r\n",
        "Content-Digest: " GOOD " " GOOD "\r\n",
        "Content-Digest: " GOOD ", sha-512=:A:\r\n",
        "Content-Digest: " GOOD ", sha-512=:AAA==:\r\n",
        "Content-Digest: " GOOD ", sha-512=1\r\n",
        "Content-Digest: " GOOD ", sha-512=(:AAAA:)\r\n",
        "Content-Digest: " GOOD ";\r\n",
        "Content-Digest: " GOOD ";a=\r\n",
        "Content-Digest: " GOOD ";a=\"x\r\n",
        "Content-Digest: " GOOD ";a=\"\\x\"\r\n",
        "Content-Digest: " GOOD ";a=1.\r\n",
        "Content-Digest: " GOOD ";a=1.2345\r\n",
        "Content-Digest: " GOOD ";a=1234567890123456\r\n",
        "Content-Digest: " GOOD ";a=?2\r\n",
        "Content-Digest: " GOOD ";A=1\r\n",
        "Content-Digest: " GOOD "\r\nContent-Digest: no\r\n",
        "Content-Digest: no\r\nContent-Digest: " GOOD "\r\n",
        "X-Content-SHA256:\r\n",
        "X-Content-SHA256: " HEX "0\r\n",
        "X-Content-SHA256: 0x" HEX "\r\n",
        "X-Content-SHA256: 2cf24dba\r\n",
        "X-Content-SHA256: gcf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\r\n",
        "X-Content-SHA256: " HEX "\r\nContent-Digest: sha-256=:" OTHER ":\r\n",
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct bfr_stated_digest digest;
        if (read_head(fields[i], &digest) != BFR_REFUSE_DIGEST_FIELD)
            fail_msg("accepted: %s", fields[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stated_digest_is_read),
        cmocka_unit_test(test_other_algorithms_and_no_field_state_nothing),
        cmocka_unit_test(test_a_malformed_digest_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
