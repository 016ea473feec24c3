// SPDX-License-Identifier: Apache-2.0
// Checks on the shared object as a file: owner and mode as the daemon demands them, and one exported symbol. Reads ELF
// itself, so that it sees what the dynamic linker sees and needs no tool.
#include "check.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRY "bfr_plugin_entry_v1"

static void file_is_safe(const struct subject *subject)
{
    struct stat file;
    must(stat(subject->path, &file) == 0 && S_ISREG(file.st_mode), "it is no regular file");
    must(file.st_uid == 0 || file.st_uid == geteuid(), "it belongs to user %u; chown it to root or the service's user",
         (unsigned)file.st_uid);
    must((file.st_mode & (S_IWGRP | S_IWOTH)) == 0, "mode %o lets others write it; chmod go-w", file.st_mode & 07777);
}

struct image {
    const uint8_t *data;
    size_t size;
};

// A stretch of the file, or the end of the check when it lies outside.
static const void *at(const struct image *image, uint64_t offset, uint64_t size)
{
    must(offset <= image->size && size <= image->size - offset, "its ELF tables point outside the file");
    return image->data + offset;
}

static const Elf64_Shdr *section(const struct image *image, const Elf64_Ehdr *head, size_t index)
{
    return at(image, head->e_shoff + index * sizeof(Elf64_Shdr), sizeof(Elf64_Shdr));
}

static void judge_symbols(const struct image *image, const Elf64_Ehdr *head, const Elf64_Shdr *symbols)
{
    const Elf64_Shdr *names = section(image, head, symbols->sh_link);
    const char *text = at(image, names->sh_offset, names->sh_size);
    const Elf64_Sym *symbol = at(image, symbols->sh_offset, symbols->sh_size);
    bool found = false;
    for (size_t i = 0; i < symbols->sh_size / sizeof *symbol; i++) {
        if (symbol[i].st_shndx == SHN_UNDEF || symbol[i].st_shndx == SHN_ABS ||
            ELF64_ST_BIND(symbol[i].st_info) == STB_LOCAL)
            continue;
        must(symbol[i].st_name < names->sh_size, "a symbol's name lies outside the file");
        const char *name = text + symbol[i].st_name;
        must(strcmp(name, ENTRY) == 0, "it exports %s as well; link with the SDK's plugin.map", name);
        found = true;
    }
    must(found, "it does not export " ENTRY);
}

static void exports_one_symbol(const struct subject *subject)
{
    int descriptor = open(subject->path, O_RDONLY | O_CLOEXEC);
    struct stat file;
    must(descriptor >= 0 && fstat(descriptor, &file) == 0, "it cannot be read");
    struct image image = {NULL, (size_t)file.st_size};
    void *memory = mmap(NULL, image.size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    must(memory != MAP_FAILED, "it cannot be mapped");
    image.data = memory;

    const Elf64_Ehdr *head = at(&image, 0, sizeof *head);
    must(memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 && head->e_ident[EI_CLASS] == ELFCLASS64, "it is no 64-bit ELF");
    const Elf64_Shdr *symbols = NULL;
    for (size_t i = 0; i < head->e_shnum && symbols == NULL; i++)
        if (section(&image, head, i)->sh_type == SHT_DYNSYM)
            symbols = section(&image, head, i);
    must(symbols != NULL, "it has no dynamic symbols");
    judge_symbols(&image, head, symbols);
    munmap(memory, image.size);
    close(descriptor);
}

const struct check file_checks[] = {
    {"file: owner and mode are safe", file_is_safe},
    {"file: exports " ENTRY " and nothing else", exports_one_symbol},
    {NULL, NULL},
};
