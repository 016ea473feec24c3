// SPDX-License-Identifier: Apache-2.0
// Signals as something to wait for, in a command that has one thread. [main]
#ifndef BFR_CORE_CLI_SIGNALS_H
#define BFR_CORE_CLI_SIGNALS_H

// A descriptor that is readable when one of these has come, which then do nothing else; ends with 0. -1: errno says why.
int bfr_cli_signals_open(const int *numbers);
// The next one; 0: none has come.
int bfr_cli_signals_read(int fd);

#endif
