// SPDX-License-Identifier: Apache-2.0
// Networks: what is one, what is not and why, and which addresses lie in it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "config_cidr.h"

static bool holds(const char *network, const char *address)
{
    struct bfr_cidr cidr;
    uint8_t v4[4];
    uint8_t v6[16];
    assert_null(bfr_cidr_parse(network, &cidr));
    if (inet_pton(AF_INET, address, v4) == 1)
        bfr_cidr_map_v4(v4, v6);
    else
        assert_int_equal(inet_pton(AF_INET6, address, v6), 1);
    return bfr_cidr_holds(&cidr, v6);
}

static void test_addresses_lie_in_their_network_alone(void **state)
{
    (void)state;
    assert_true(holds("10.0.0.0/8", "10.255.255.255"));
    assert_false(holds("10.0.0.0/8", "11.0.0.0"));
    assert_true(holds("192.0.2.128/25", "192.0.2.128"));
    assert_false(holds("192.0.2.128/25", "192.0.2.127"));
    assert_true(holds("192.0.2.1", "192.0.2.1"));
    assert_false(holds("192.0.2.1", "192.0.2.2"));
    assert_true(holds("0.0.0.0/0", "203.0.113.9"));
    assert_false(holds("0.0.0.0/0", "2001:db8::1"));
    assert_true(holds("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(holds("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(holds("::/0", "2001:db8::1"));
    assert_true(holds("::1", "::1"));
    assert_false(holds("::1/128", "::2"));
}

static void test_an_ipv4_client_of_an_ipv6_socket_is_the_same_address(void **state)
{
    (void)state;
    assert_true(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert_true(holds("::ffff:10.0.0.0/104", "10.1.2.3"));
}

static void test_what_is_no_network_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "/",
                                        "/8",
                                        "10.0.0.0/",
                                        "10.0.0.0/33",
                                        "10.0.0/8",
                                        "10.0.0.1/8",
                                        "10.0.0.0/08",
                                        "10.0.0.0/+8",
                                        "10.0.0.0/8 ",
                                        " 10.0.0.0/8",
                                        "10.0.0.0/8/8",
                                        "::/129",
                                        "2001:db8::1/64",
                                        "localhost",
                                        "[::1]/128",
                                        "::1%lo/128",
                                        "10.0.0.0/-1",
                                        "10.0.0.0/0x8"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct bfr_cidr cidr;
        if (bfr_cidr_parse(wrong[i], &cidr) == NULL)
            fail_msg("'%s' was taken for a network", wrong[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_lie_in_their_network_alone),
        cmocka_unit_test(test_an_ipv4_client_of_an_ipv6_socket_is_the_same_address),
        cmocka_unit_test(test_what_is_no_network_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
