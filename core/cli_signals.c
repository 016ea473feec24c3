// SPDX-License-Identifier: Apache-2.0
// See cli_signals.h: signalfd(2). They stay blocked until the process ends.
#include "cli_signals.h"

#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

int bfr_cli_signals_open(const int *numbers)
{
    sigset_t set;
    sigemptyset(&set);
    for (; *numbers != 0; numbers++)
        sigaddset(&set, *numbers);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int bfr_cli_signals_read(int fd)
{
    struct signalfd_siginfo info;
    return read(fd, &info, sizeof info) == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}
