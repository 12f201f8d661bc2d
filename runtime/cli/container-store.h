/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the command line knows of its containers between two calls: ROOT/ID/state.json, one directory a container,
 * root only. The units and the supervisor have the truth about what runs; this says which sandbox a container is
 * in and which process stands for it. Two roots know nothing of each other.
 *
 *      store_create()          mkdir, which fails if it is there; locked
 *      store_open()            locked; the one that waits sees that it was removed meanwhile
 *      store_remove()          everything below, then the directory
 *
 * The lock is flock() on the directory: a killed process leaves no lock.
 */

#include <json-c/json.h>
#include <sys/types.h>

#include "basic/parse.h"
#include "basic/strv.h"

#define RECORD_FILE "state.json"

typedef struct StoreEntry {
        int fd;                 /* the directory, with the lock; -EBADF: none */
        char *path;
} StoreEntry;

#define STORE_ENTRY_NULL ((StoreEntry) { .fd = -EBADF })

/* -EEXIST, -EINVAL for an id that is none. root is made if it is missing (0700). */
int store_create(const char *root, const char *id, StoreEntry *ret, char **reterr_message);
/* -ENOENT: "container "ID" does not exist", the words that callers look for. */
int store_open(const char *root, const char *id, StoreEntry *ret, char **reterr_message);
/* Removes it, and closes. */
int store_remove(StoreEntry *entry, char **reterr_message);
void store_entry_done(StoreEntry *entry);

/* Names of all containers, sorted. No root: none. */
int store_list(const char *root, Strv *ret, char **reterr_message);

typedef struct ContainerRecord {
        char *id, *oci_version;
        char *bundle, *rootfs;  /* absolute */
        char *sandbox;          /* name of the sandbox's unit instance */
        pid_t pid;              /* of the kata-shim that stands for it; 0: not made yet */
        uint64_t pid_start;     /* clock ticks since boot, so that another process of that number is not taken for it */
        usec_t created;         /* CLOCK_REALTIME */
        uint32_t uid;           /* who called */
        bool terminal, owns_sandbox;
        bool alone;             /* no other container is to come into its sandbox, whose scope has its limits */
        char *scope;            /* what its kata-shims are in, where it shares a sandbox; NULL: the machine's */
        json_object *annotations;       /* object of strings; NULL: none */
        json_object *hooks;             /* those of the host, as in the configuration; NULL: none */
} ContainerRecord;

int record_save(const StoreEntry *entry, const ContainerRecord *record, char **reterr_message);
/* -ENOENT if there is none: a create that did not get that far. */
int record_load(const StoreEntry *entry, ContainerRecord *ret, char **reterr_message);
void record_done(ContainerRecord *record);
