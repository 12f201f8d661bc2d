/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The process of exec as JSON (runtime-spec, config.md, "process"): either the file that a caller has written, or that
 * of the container with what the command line changes. Pure.
 */

#include "runtime/cli/command.h"
#include "runtime/cli/oci-bundle.h"

/* --process FILE. A new object. */
int exec_process_read(const char *path, json_object **ret, char **reterr_message);
/* words: the program and its arguments, at least one. A new object; the bundle stays as it is. */
int exec_process_make(const OciBundle *bundle, const CliArgs *args, char *const *words, size_t n_words,
                      json_object **ret, char **reterr_message);
bool exec_process_terminal(json_object *process);
