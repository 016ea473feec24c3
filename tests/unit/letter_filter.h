// SPDX-License-Identifier: Apache-2.0
// What a filter finds among the dead letters of a stage of either queue; after disk_stage.h or memory_stage.h.
#ifndef BFR_TEST_LETTER_FILTER_H
#define BFR_TEST_LETTER_FILTER_H

static inline uint64_t matching(struct stage *stage, const struct bfr_filter *filter)
{
    return stage->table->redrive(stage->self, filter, true, NULL, NULL);
}

// `filter` finds one of `all` letters, which failed from `first_ns` to `last_ns`.
static inline void check_times(struct stage *stage, struct bfr_filter filter, int64_t first_ns, int64_t last_ns,
                               uint64_t all)
{
    filter.failed_from_ns = first_ns;
    filter.failed_to_ns = last_ns;
    assert_int_equal(matching(stage, &filter), 1);
    filter.failed_from_ns++;
    assert_int_equal(matching(stage, &filter), 0);
    filter.failed_from_ns = 0;
    filter.failed_to_ns--;
    assert_int_equal(matching(stage, &filter), 0);
    filter.size = offsetof(struct bfr_filter, consumer); // of a caller that knows no more
    assert_int_equal(matching(stage, &filter), all);
}

#endif
