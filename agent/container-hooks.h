/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Hooks of the OCI configuration, and of the guest image: programs that get the state of the container on
 * standard input. All kinds run in the guest, since that is where the container is.
 *
 *      prestart, createRuntime         the agent's namespaces, once the container is set up
 *      createContainer                 the container's namespaces, the guest's root
 *      startContainer                  as the container's process, before its program
 *      poststart, poststop             the agent's namespaces; failures are logged only
 *
 * The guest's own are the executable files of DIR/prestart, DIR/createRuntime and so on (guest_hook_path of
 * CreateSandbox), in the order of their names, after those of the configuration. There is none for
 * startContainer: the container's root does not have the file.
 *
 * Checked first, without side effects; then run, each by itself, with a deadline. hooks_run() blocks: it
 * belongs into a child of the agent.
 */

#include "basic/hook.h"
#include "proto/oci.pb-c.h"

typedef enum HookKind {
        HOOK_PRESTART,
        HOOK_CREATE_RUNTIME,
        HOOK_CREATE_CONTAINER,
        HOOK_START_CONTAINER,
        HOOK_POSTSTART,
        HOOK_POSTSTOP,
        _HOOK_KIND_MAX,
} HookKind;

/* "prestart" and so on. */
const char *hook_kind_to_string(HookKind kind);

typedef struct HookSet {
        Hook *hooks[_HOOK_KIND_MAX];
        size_t n[_HOOK_KIND_MAX];
        char *guest_dir;        /* NULL: none */
        char *id, *bundle;
        Grpc__StringEntry *annotations; /* strings owned */
        size_t n_annotations;
} HookSet;

void hook_set_done(HookSet *set);

/* spec->hooks and what the state is made of. guest_dir: NULL or absolute. *ret is untouched on failure. */
int hook_set_parse(HookSet *ret, const char *id, const Grpc__Spec *spec, const char *guest_dir,
                   char **reterr_message);

/* Whether hooks_run() may have something to do. */
bool hook_set_has(const HookSet *set, HookKind kind);

/* The state as JSON, ends in a newline. status: "creating" and so on; pid 0: none. */
int hook_set_state(const HookSet *set, const char *status, pid_t pid, char **ret, size_t *ret_n);

/*
 * One after another until one fails: exit status, signal or deadline, with the hook's path and the last
 * bytes of what it printed in the text. poststart and poststop hooks all run; the first failure is returned.
 */
int hooks_run(const HookSet *set, HookKind kind, const char *status, pid_t pid, char **reterr_message);
