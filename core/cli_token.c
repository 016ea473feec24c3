// SPDX-License-Identifier: Apache-2.0
// `token hash`: a token on standard input becomes a line for a tenants file. The token is on no argument list, in no
// environment, and wiped from memory.
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include <bfr/text.h>

#include "app.h"
#include "cli.h"

#define TOKEN_MAX 8192 // as long as a head may reasonably carry

// A token as RFC 6750 section 2.1 lets it be sent: visible ASCII without blanks.
static bool is_token(const unsigned char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return length > 0;
}

int bfr_cli_token_hash(const struct bfr_cli *cli)
{
    (void)cli;
    unsigned char token[TOKEN_MAX + 2];
    setvbuf(stdin, NULL, _IONBF, 0); // no second copy in a stdio buffer
    size_t length = fread(token, 1, sizeof token, stdin);
    while (length > 0 && (token[length - 1] == '\n' || token[length - 1] == '\r'))
        length--;
    int code = BFR_EXIT_OK;
    if (length > TOKEN_MAX || !is_token(token, length)) {
        fprintf(stderr,
                "bytefreezer-receiver: expected one token of 1 to %d visible ASCII characters on standard input\n",
                TOKEN_MAX);
        code = BFR_EXIT_USAGE;
    } else {
        unsigned char hash[SHA256_DIGEST_LENGTH];
        char hex[2 * SHA256_DIGEST_LENGTH + 1];
        SHA256(token, length, hash);
        bfr_hex(hash, sizeof hash, hex);
        printf("sha256:%s\n", hex);
    }
    OPENSSL_cleanse(token, sizeof token);
    return code;
}
