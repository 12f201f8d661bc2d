/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What happened to the installed versions: journal entries with a fixed MESSAGE_ID each, explained in
 * units/kata.catalog. Somebody who is not reading the journal gets the text on standard error.
 */

#include "basic/cleanup.h"

typedef enum UpdateEvent {
        EVENT_GUEST_SWITCHED,
        EVENT_GUEST_ROLLED_BACK,
        EVENT_GUEST_TEST_FAILED,
        _UPDATE_EVENT_MAX,
} UpdateEvent;

/* version: what it is about; other: the version that was, or stays, in use. */
void update_event(UpdateEvent event, const char *version, const char *other, const char *format, ...)
        _printf_(4, 5);
