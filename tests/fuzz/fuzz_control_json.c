// SPDX-License-Identifier: Apache-2.0
// What a control service, or whoever answers in its place, may send: any bytes as a list, as one object and as the change
// detector's answer. Whatever comes out is an id that the edge would let in, and fits into a directory; what is refused is
// refused as a whole. The first byte says what the rest is read as.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool true_always)
{
    if (!true_always)
        abort();
}

struct sink {
    struct directory *directory;
    uint32_t account, tenant;
    size_t given;
};

static bool on_account(void *arg, const struct account_record *record)
{
    struct sink *sink = arg;

    sink->given++;
    require(bfr_control_id_is_good(record->id));
    uint32_t number = bfr_directory_add_account(sink->directory, record);
    require(number != DIRECTORY_NONE && bfr_directory_account(sink->directory, record->id) == number);
    return true;
}

static bool on_tenant(void *arg, const struct tenant_record *record)
{
    struct sink *sink = arg;

    sink->given++;
    require(bfr_control_id_is_good(record->id));
    require(record->account[0] == '\0' || bfr_control_id_is_good(record->account));
    uint32_t number = bfr_directory_add_tenant(sink->directory, sink->account, record);
    require(number != DIRECTORY_NONE && bfr_directory_tenant(sink->directory, record->id) == number);
    require(!record->has_token || bfr_directory_knows_token(sink->directory, record->token));
    return true;
}

static bool on_dataset(void *arg, const struct dataset_record *record)
{
    struct sink *sink = arg;

    sink->given++;
    require(bfr_control_id_is_good(record->id));
    uint32_t number = bfr_directory_add_dataset(sink->directory, sink->tenant, record);
    require(number != DIRECTORY_NONE && bfr_directory_dataset(sink->directory, sink->tenant, record->id) == number);
    return true;
}

static void read_as(uint8_t kind, const uint8_t *data, size_t size)
{
    struct sink sink = {.directory = bfr_directory_new()};
    struct control_reader reader = {.arg = &sink};
    const char *why = NULL;
    bool whole;

    require(sink.directory != NULL);
    sink.account = bfr_directory_add_account(sink.directory, &(struct account_record){"a", true});
    sink.tenant = bfr_directory_add_tenant(
        sink.directory, sink.account, &(struct tenant_record){.id = "t", .account = "", .name = "", .active = true});
    if (kind % 3 == 0)
        reader.on_account = on_account;
    else if (kind % 3 == 1)
        reader.on_tenant = on_tenant;
    else
        reader.on_dataset = on_dataset;
    enum control_read result = (kind & 4) != 0 ? bfr_control_read_one(data, size, &reader, &why)
                                               : bfr_control_read_list(data, size, &reader, &whole, &why);
    require(result == CONTROL_READ_OK || (result == CONTROL_READ_RUBBISH && why != NULL && sink.given == 0));
    require(sink.directory->active_tenants <= sink.directory->tenant_count);
    require(sink.directory->active_datasets <= sink.directory->dataset_count);
    bfr_directory_trim(sink.directory);
    bfr_directory_free(sink.directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct control_marks marks;

    if (size == 0)
        return 0;
    read_as(data[0], data + 1, size - 1);
    if (!bfr_control_read_changes(data + 1, size - 1, &marks))
        return 0;
    struct control_marks again;
    require(bfr_control_read_changes(data + 1, size - 1, &again) && marks.tenants == again.tenants &&
            marks.datasets == again.datasets);
    return 0;
}
