/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzer of the guest's log records: whatever comes, a record has a bounded message and a valid priority. */

#include "basic/limits.h"
#include "runtime/log/record-parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        LogRecordView record;

        if (log_record_parse(data, size, &record) < 0)
                return 0;

        if (!record.message || record.n_message > LOG_RECORD_MAX || record.priority < 1 || record.priority > 7)
                abort();
        if (record.container && !id_is_valid(record.container, CONTAINER_ID_MAX))
                abort();
        log_record_done(&record);
        return 0;
}
