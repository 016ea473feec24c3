// SPDX-License-Identifier: Apache-2.0
// See thread.h. A thread inherits the mask of who starts it, so it has it from its first instruction.
#include "thread.h"

#include <signal.h>

int bfr_thread_start(pthread_t *out, const char *name, void *(*run)(void *arg), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(out, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        (void)pthread_setname_np(*out, name);
    return error;
}
