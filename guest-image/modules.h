/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From a list of wanted modules to the modules to load, in order, and their content. The list comes with
 * the package or from the operator; what a kernel has is asked through ModuleSource, so that the order
 * can be tested without a kernel.
 */

#include "basic/kernel-release.h"
#include "basic/strv.h"

typedef struct ModuleWish {
        char *name;
        bool optional;
        unsigned line;
} ModuleWish;

typedef struct ModuleWishes {
        ModuleWish *v;
        size_t n;
} ModuleWishes;

void module_wishes_done(ModuleWishes *wishes);

/* A list of them from a file. */
int module_wishes_load(const char *file, ModuleWishes *ret, char **reterr_message);

/* Lines "required|optional MODULE REASON"; "#" begins a comment line. file is for the error text. */
int module_wishes_parse(const char *file, const char *text, ModuleWishes *ret,
                        char **reterr_message);

/* What a kernel knows about one module. */
typedef struct ModuleInfo {
        char *name;             /* the proper one; the name asked for may be an alias */
        bool builtin;           /* nothing else is set then */
        char *path;
        Strv before;            /* soft dependencies ("pre:"), may not exist; */
        Strv depends;           /* what has to be there; */
        Strv after;             /* soft dependencies ("post:") */
} ModuleInfo;

void module_info_done(ModuleInfo *info);

typedef struct ModuleSource {
        /* -ENOENT: the kernel has no such module. */
        int (*lookup)(void *userdata, const char *name, ModuleInfo *ret);
        void *userdata;
} ModuleSource;

typedef struct Module {
        char *name;
        char *path;             /* NULL: visited, and nothing to load */
        bool optional;          /* no required module needs it */
} Module;

typedef struct ModulePlan {
        Module *v;              /* in load order */
        size_t n;
} ModulePlan;

void module_plan_done(ModulePlan *plan);

/* -ENOENT with a text that names the module if a required one is missing. */
int module_plan_make(const ModuleWishes *wishes, const ModuleSource *source, const char *kernel,
                     ModulePlan *ret, char **reterr_message);

/* Content of a module file, decompressed (.xz, .zst, .gz: by the program of that form). */
int module_read(const char *path, char **ret, size_t *ret_size, char **reterr_message);

/*
 * The kernel whose modules are meant: that of modules_dir, whose name is the release if none is given; else the one
 * called release, or the newest, below root.
 */
int module_kernel_find(const char *root, const char *release, const char *modules_dir, KernelRelease *ret,
                       char **reterr_message);

/* The modules in one directory (with modules.dep.bin, as depmod writes it), through libkmod. */
typedef struct ModuleDirectory ModuleDirectory;

int module_directory_open(const char *path, ModuleDirectory **ret, char **reterr_message);
ModuleDirectory *module_directory_free(ModuleDirectory *d);
DEFINE_CLEANUP_FUNC(ModuleDirectory *, module_directory_free)
ModuleSource module_directory_source(ModuleDirectory *d);
