/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Names and parameters of modules of the kernel, as init_module(2) and /sys/module have them. Pure functions; the
 * words come from whoever wants a module.
 */

#include "basic/strv.h"

/* Letters, digits, '_' and '-', at most MODULE_NAME_MAX. */
bool kernel_module_name_is_valid(const char *s);

/* '-' and '_' are the same in names of modules. */
bool kernel_module_same_name(const char *a, const char *b);

/*
 * NAME or NAME=VALUE, where NAME is one of a parameter: printable ASCII without blanks and quotes (which would be
 * further parameters to the kernel), at most MODULE_PARAMETER_MAX.
 */
bool kernel_module_parameter_is_valid(const char *s);

/*
 * "NAME [PARAMETER...][; NAME ...]" as configurations have it: a line for each module, words with one blank between
 * them. -EINVAL for words that are none, -E2BIG over KERNEL_MODULES_MAX or MODULE_PARAMETERS_MAX. Empty items are
 * left out.
 */
int kernel_modules_split(const char *text, Strv *ret);
