// SPDX-License-Identifier: Apache-2.0
// The webhook server when descriptors run out. A program of its own, because it replaces accept4.
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge_rig.h"

// Comes before the C library's, for libevent too: notes when there was no descriptor left.
static atomic_uint failed_accepts;
static _Atomic uint64_t failed_at_ns[2];

__attribute__((visibility("default"))) int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    int accepted = (int)syscall(SYS_accept4, fd, address, size, flags);
    int error = errno;
    if (accepted < 0 && error == EMFILE) {
        unsigned count = atomic_load(&failed_accepts);
        if (count < 2)
            atomic_store(&failed_at_ns[count], bfr_clock_now(&bfr_clock_system));
        atomic_fetch_add(&failed_accepts, 1);
    }
    errno = error;
    return accepted;
}

static void test_running_out_of_descriptors_pauses_and_never_spins(void **state)
{
    struct edge *f = *state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(f->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct rlimit none = {3, before.rlim_max}; // what is open stays open, nothing more can be opened
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0); // to the kernel's accept queue
    edge_post_tiny(fd, EDGE_NAME);
    while (atomic_load(&failed_accepts) < 2)
        sched_yield();
    assert_true(failed_at_ns[1] - failed_at_ns[0] > 50 * BFR_NS_PER_MS);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    edge_expect(fd, 200);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_running_out_of_descriptors_pauses_and_never_spins, edge_set_up,
                                        edge_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
