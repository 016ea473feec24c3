// SPDX-License-Identifier: Apache-2.0
// PROXY headers: what is one, however it is split, and what is refused and why.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <isa-l/crc.h>

#include "http_peer.h"
#include "http_proxy.h"

#define V2_START "\r\n\r\n\0\r\nQUIT\n"
#define V4_PAIR  "\xcb\x00\x71\x09\x0a\x00\x00\x01\x1f\x90\x00\x50" // 203.0.113.9:8080 -> 10.0.0.1:80

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static const char *parse(const uint8_t *data, size_t size, enum bfr_proxy_result expected, size_t header_size)
{
    static struct bfr_peer peer;
    struct bfr_proxy_header header;
    memset(&peer, 0, sizeof peer);
    assert_int_equal(bfr_proxy_parse(data, size, &header), expected);
    if (expected == BFR_PROXY_CLIENT || expected == BFR_PROXY_LOCAL)
        assert_int_equal(header.size, header_size);
    if (expected == BFR_PROXY_CLIENT)
        bfr_peer_set(&peer, header.address, header.port);
    if (expected == BFR_PROXY_BAD)
        assert_non_null(header.wrong);
    return peer.text;
}

static void test_version_1_tells_the_client(void **state)
{
    (void)state;
    static const char v4[] = "PROXY TCP4 203.0.113.9 10.0.0.1 65535 80\r\nGET";
    static const char v6[] = "PROXY TCP6 2001:db8::1 ::1 1 80\r\n";
    assert_string_equal(parse(BYTES(v4), BFR_PROXY_CLIENT, sizeof v4 - 4), "203.0.113.9");
    assert_string_equal(parse(BYTES(v6), BFR_PROXY_CLIENT, sizeof v6 - 1), "2001:db8::1");
    parse(BYTES("PROXY UNKNOWN\r\n"), BFR_PROXY_LOCAL, 15);
    parse(BYTES("PROXY UNKNOWN whatever stands here\r\n"), BFR_PROXY_LOCAL, 36);
}

static void test_version_2_tells_the_client(void **state)
{
    (void)state;
    static const char v4[] = V2_START "\x21\x11\x00\x0c" V4_PAIR "POST";
    static const char v6[] = V2_START "\x21\x21\x00\x24"
                                      "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                                      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x07\x00\x50";
    assert_string_equal(parse(BYTES(v4), BFR_PROXY_CLIENT, 28), "203.0.113.9");
    assert_string_equal(parse(BYTES(v6), BFR_PROXY_CLIENT, 52), "2001:db8::1");
}

static void test_a_balancer_may_speak_for_itself(void **state)
{
    (void)state;
    parse(BYTES(V2_START "\x20\x00\x00\x00"), BFR_PROXY_LOCAL, 16);
    parse(BYTES(V2_START "\x20\x11\x00\x03xyz"), BFR_PROXY_LOCAL, 19); // what a LOCAL carries is skipped unread
    parse(BYTES(V2_START "\x21\x00\x00\x00"), BFR_PROXY_LOCAL, 16);
}

static void test_extensions_are_skipped(void **state)
{
    (void)state;
    static const char header[] = V2_START "\x21\x11\x00\x14" V4_PAIR "\x02\x00\x02hi\x04\x00\x00";
    parse(BYTES(header), BFR_PROXY_CLIENT, 36);
    static const char longer[] = V2_START "\x21\x11\x00\x14" V4_PAIR "\x02\x00\x09hi\x04\x00\x00";
    parse(BYTES(longer), BFR_PROXY_BAD, 0);
    static const char cut[] = V2_START "\x21\x11\x00\x0e" V4_PAIR "\x02\x00";
    parse(BYTES(cut), BFR_PROXY_BAD, 0);
}

static void test_a_checksum_must_match(void **state)
{
    (void)state;
    uint8_t header[] = V2_START "\x21\x11\x00\x13" V4_PAIR "\x03\x00\x04\0\0\0\0";
    size_t size = sizeof header - 1;
    uint32_t crc = ~crc32_iscsi(header, (int)size, UINT32_MAX);
    for (int i = 0; i < 4; i++)
        header[size - 1 - (size_t)i] = (uint8_t)(crc >> (8 * i));
    parse(header, size, BFR_PROXY_CLIENT, size);
    header[16] ^= 1; // of the address
    parse(header, size, BFR_PROXY_BAD, 0);
}

static void test_any_part_of_a_header_asks_for_more(void **state)
{
    (void)state;
    static const uint8_t v1[] = "PROXY TCP4 203.0.113.9 10.0.0.1 8080 80\r\n";
    static const uint8_t v2[] = V2_START "\x21\x11\x00\x14" V4_PAIR "\x02\x00\x02hi\x04\x00\x00";
    for (size_t i = 0; i < sizeof v1 - 1; i++)
        parse(v1, i, BFR_PROXY_MORE, 0);
    for (size_t i = 0; i < sizeof v2 - 1; i++)
        parse(v2, i, BFR_PROXY_MORE, 0);
}

static void test_what_is_no_header_is_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "GET / HTTP/1.1\r\n",
        "PROXX TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rX",
        "PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n",
        ("PROXY UNKNOWN "
         "4444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444\r\n"),
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct bfr_proxy_header header;
        if (bfr_proxy_parse((const uint8_t *)lines[i], strlen(lines[i]), &header) != BFR_PROXY_BAD)
            fail_msg("taken for a header: %s", lines[i]);
    }
    parse(BYTES("PROXY UNKNOWN a\0b\r\n"), BFR_PROXY_BAD, 0);
    parse(BYTES(V2_START "\x31\x11\x00\x0c" V4_PAIR), BFR_PROXY_BAD, 0); // version 3
    parse(BYTES(V2_START "\x22\x11\x00\x0c" V4_PAIR), BFR_PROXY_BAD, 0); // a command that is not known
    parse(BYTES(V2_START "\x21\x12\x00\x0c" V4_PAIR), BFR_PROXY_BAD, 0); // UDP
    parse(BYTES(V2_START "\x21\x11\x00\x0b" V4_PAIR), BFR_PROXY_BAD, 0); // too short for its addresses
    parse(BYTES(V2_START "\x21\x11\xff\xff" V4_PAIR), BFR_PROXY_BAD, 0); // longer than anybody waits for
}

static void test_a_header_is_noticed_where_none_may_be(void **state)
{
    (void)state;
    assert_int_equal(bfr_proxy_sniff(BYTES("PROXY TCP4")), BFR_PROXY_CLIENT);
    assert_int_equal(bfr_proxy_sniff(BYTES(V2_START)), BFR_PROXY_CLIENT);
    assert_int_equal(bfr_proxy_sniff(BYTES("PR")), BFR_PROXY_MORE);
    assert_int_equal(bfr_proxy_sniff(BYTES("")), BFR_PROXY_MORE);
    assert_int_equal(bfr_proxy_sniff(BYTES("POST /")), BFR_PROXY_BAD);
    assert_int_equal(bfr_proxy_sniff(BYTES("\r\nPOST")), BFR_PROXY_BAD);
    assert_int_equal(bfr_proxy_sniff(BYTES("\x16\x03\x01")), BFR_PROXY_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_1_tells_the_client),
        cmocka_unit_test(test_version_2_tells_the_client),
        cmocka_unit_test(test_a_balancer_may_speak_for_itself),
        cmocka_unit_test(test_extensions_are_skipped),
        cmocka_unit_test(test_a_checksum_must_match),
        cmocka_unit_test(test_any_part_of_a_header_asks_for_more),
        cmocka_unit_test(test_what_is_no_header_is_refused),
        cmocka_unit_test(test_a_header_is_noticed_where_none_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
