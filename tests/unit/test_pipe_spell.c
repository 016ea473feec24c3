// SPDX-License-Identifier: Apache-2.0
// When a sink is said to have stored nothing, and when that is over.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "pipe_spell.h"

static void test_a_spell_goes_from_the_first_failure_to_the_next_success(void **state)
{
    struct bfr_spell spell = {0}, over = {0};
    (void)state;
    bfr_spell_failed(&spell, 100, 10);
    bfr_spell_failed(&spell, 200, 20);
    bfr_spell_buried(&spell, "first");
    bfr_spell_failed(&spell, 300, 30);
    bfr_spell_buried(&spell, "second");
    assert_true(bfr_spell_stored(&spell, 40, &over));
    assert_int_equal(over.from_ns, 100);
    assert_int_equal(over.since_ns, 10);
    assert_int_equal(over.buried, 2);
    assert_string_equal(over.cause, "second");
    assert_false(bfr_spell_stored(&spell, 50, &over)); // told of once
    bfr_spell_failed(&spell, 600, 60);
    bfr_spell_buried(&spell, "third");
    assert_true(bfr_spell_stored(&spell, 70, &over));
    assert_int_equal(over.from_ns, 600);
    assert_int_equal(over.buried, 1);
}

static void test_a_spell_without_letters_ends_in_silence(void **state)
{
    struct bfr_spell spell = {0}, over = {0};
    (void)state;
    assert_false(bfr_spell_stored(&spell, 5, &over));
    bfr_spell_failed(&spell, 100, 10);
    assert_false(bfr_spell_stored(&spell, 20, &over));
    bfr_spell_failed(&spell, 300, 30); // a new one, which does not reach back
    bfr_spell_buried(&spell, "no");
    assert_true(bfr_spell_stored(&spell, 40, &over));
    assert_int_equal(over.from_ns, 300);
}

static void test_what_was_handed_over_before_a_spell_does_not_end_it(void **state)
{
    struct bfr_spell spell = {0}, over = {0};
    (void)state;
    bfr_spell_failed(&spell, 100, 10);
    assert_false(bfr_spell_stored(&spell, 9, &over));
    bfr_spell_buried(&spell, "no");
    assert_false(bfr_spell_stored(&spell, 9, &over));
    assert_true(bfr_spell_stored(&spell, 10, &over));
    assert_int_equal(over.from_ns, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_spell_goes_from_the_first_failure_to_the_next_success),
        cmocka_unit_test(test_a_spell_without_letters_ends_in_silence),
        cmocka_unit_test(test_what_was_handed_over_before_a_spell_does_not_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
