/* SPDX-License-Identifier: Apache-2.0 */
/* Notes of ELF files: see elf-note.h. The file is foreign; every offset is compared with its size. */

#include "guest-image/elf-note.h"

#include <elf.h>

#define NOTE_XEN_PHYS32_ENTRY 18U

/* Notes are aligned to 4 bytes whatever the segment says; that is how the kernel writes them. */
static size_t align4(size_t n)
{
        return (n + 3) & ~(size_t) 3;
}

typedef struct Wanted {
        const char *name;
        uint32_t type;
        const uint8_t *desc;
        size_t size;
} Wanted;

static bool find_in_segment(const uint8_t *p, size_t n, Wanted *w)
{
        const size_t name_size = strlen(w->name) + 1;

        while (n >= sizeof(Elf64_Nhdr)) {
                Elf64_Nhdr note;
                size_t name, desc;

                memcpy(&note, p, sizeof(note));
                p += sizeof(note);
                n -= sizeof(note);
                name = align4(note.n_namesz);
                desc = align4(note.n_descsz);
                if (name > n || desc > n - name)
                        return false;
                if (note.n_type == w->type && note.n_namesz == name_size &&
                    memcmp(p, w->name, name_size) == 0) {
                        w->desc = p + name;
                        w->size = note.n_descsz;
                        return true;
                }
                p += name + desc;
                n -= name + desc;
        }
        return false;
}

static bool find_note(const uint8_t *p, size_t n, Wanted *w)
{
        Elf64_Ehdr e;

        if (n < sizeof(e))
                return false;
        memcpy(&e, p, sizeof(e));
        if (memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 || e.e_ident[EI_CLASS] != ELFCLASS64 ||
            e.e_ident[EI_DATA] != ELFDATA2LSB || e.e_machine != EM_X86_64 ||
            e.e_phentsize != sizeof(Elf64_Phdr))
                return false;

        for (size_t i = 0; i < e.e_phnum; i++) {
                size_t at = i * sizeof(Elf64_Phdr);
                Elf64_Phdr h;

                if (e.e_phoff > n || n - e.e_phoff < at + sizeof(h))
                        return false;
                memcpy(&h, p + e.e_phoff + at, sizeof(h));
                if (h.p_type == PT_NOTE && h.p_offset <= n && h.p_filesz <= n - h.p_offset &&
                    find_in_segment(p + h.p_offset, h.p_filesz, w))
                        return true;
        }
        return false;
}

bool elf_find_note(const void *data, size_t n, const char *name, uint32_t type, const void **ret,
                   size_t *ret_size)
{
        Wanted w = { .name = name, .type = type };

        if (!find_note(data, n, &w))
                return false;
        *ret = w.desc;
        *ret_size = w.size;
        return true;
}

bool elf_has_pvh_note(const void *data, size_t n)
{
        const void *entry;
        size_t size;

        return elf_find_note(data, n, "Xen", NOTE_XEN_PHYS32_ENTRY, &entry, &size) && size >= 4;
}
