// SPDX-License-Identifier: Apache-2.0
// The promise of append-only: what a plugin compiled against 1.0 reads and writes is where it was.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "layout.h"

static void test_no_member_of_abi_1_0_has_moved(void **state)
{
    (void)state;
    size_t rows = 0;
    for (; frozen_layout[rows].name != NULL; rows++) {
        const struct layout *then = &frozen_layout[rows], *now = &present_layout[rows];
        assert_string_equal(then->name, now->name);
        if (then->offset != now->offset)
            fail_msg("%s has moved from %zu to %zu", then->name, then->offset, now->offset);
        if (then->whole ? now->size < then->size : now->size != then->size)
            fail_msg("%s had %zu bytes and has %zu", then->name, then->size, now->size);
    }
    assert_null(present_layout[rows].name);
    assert_true(rows > 150); // the whole ABI, not an empty list
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_member_of_abi_1_0_has_moved)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
