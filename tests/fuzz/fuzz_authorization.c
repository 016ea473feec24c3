// SPDX-License-Identifier: Apache-2.0
// The Authorization field: any bytes. A token that is found lies within the field, is not empty and is visible ASCII; and
// whether there is one does not depend on the scheme's case.
#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bearer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool true_always)
{
    if (!true_always)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bfr_span token = {NULL, 0};
    uint8_t *field = malloc(size + 1); // exactly as long, so that a look behind its end is caught

    require(field != NULL);
    uint8_t *exact = malloc(size == 0 ? 1 : size);
    require(exact != NULL);
    if (size > 0)
        memcpy(exact, data, size);
    enum bearer_fault fault = bfr_bearer_parse((struct bfr_span){exact, size}, &token);
    if (fault == BEARER_OK) {
        require(token.size > 0 && token.data >= exact && token.data + token.size == exact + size);
        for (size_t i = 0; i < token.size; i++)
            require(token.data[i] > 0x20 && token.data[i] < 0x7F);
    } else {
        require(bfr_bearer_fault_text(fault)[0] != '\0');
    }
    for (size_t i = 0; i < size; i++)
        field[i] = i < 6 ? (uint8_t)toupper(data[i]) : data[i];
    struct bfr_span again = {NULL, 0};
    require(bfr_bearer_parse((struct bfr_span){field, size}, &again) == fault && again.size == token.size);
    free(exact);
    free(field);
    return 0;
}
