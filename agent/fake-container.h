/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The container engine of the tests: see fake-container.c. */

#include "agent/container.h"

/* The one created last; NULL once it is removed. */
extern Container *fake_last;

void fake_print(Container *c, const char *out, const char *err);
void fake_exit(Container *c, int status);
/* For the end of a test that has not removed it; the loop is still there. */
void fake_forget(void);
