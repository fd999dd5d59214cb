/* The descriptor tables: messages.def included once for each column. A table of fields needs
 * offsetof, hence the struct's name, which a FIELD line does not repeat; so each table lives in a
 * function of its own, where `self` is a local name of that struct. Two messages of one type do not
 * compile (-Woverride-init on by_type). */
#include "wire/schema.h"

/* The shortest encoding of each kind. */
enum {
    MINIMAL_flag = 1,
    MINIMAL_u8 = 1,
    MINIMAL_u16 = 1,
    MINIMAL_u32 = 1,
    MINIMAL_u64 = 1,
    MINIMAL_word = 8,
    MINIMAL_id = 16,
    MINIMAL_digest = 32,
    MINIMAL_address = 3, /* length 0 and a port */
    MINIMAL_boot = 9,
};

/* minimal_NAME: of each record and message. */
#define RECORD(name)                                                                               \
    enum {                                                                                         \
    minimal_##name = 0
#define MESSAGE(name, type) RECORD(name)
#define FIELD(kind, name) +MINIMAL_##kind
#define BYTES(name, max) +1
#define ITEM(record, name) +minimal_##record
#define LIST(record, name, max) +1
#define END(name)                                                                                  \
    }                                                                                              \
    ;
#include "wire/messages.def"
#include "wire/undef.h"

/* count_NAME: of fields. */
#define RECORD(name)                                                                               \
    enum {                                                                                         \
    count_##name = 0
#define MESSAGE(name, type) RECORD(name)
#define FIELD(kind, name) +1
#define BYTES(name, max) +1
#define ITEM(record, name) +1
#define LIST(record, name, max) +1
#define END(name)                                                                                  \
    }                                                                                              \
    ;
#include "wire/messages.def"
#include "wire/undef.h"

/* fields_NAME(): their descriptions. */
#define RECORD(name)                                                                               \
    static const struct wire_field *fields_##name(void)                                            \
    {                                                                                              \
        typedef struct msg_##name self;                                                            \
        static const struct wire_field fields[] = {
#define MESSAGE(name, type) RECORD(name)
#define FIELD(kind, name) {#name, WIRE_##kind, offsetof(self, name), 0, NULL},
#define BYTES(name, max) {#name, WIRE_bytes, offsetof(self, name), max, NULL},
#define ITEM(record, name) {#name, WIRE_item, offsetof(self, name), 0, &wire_##record},
#define LIST(record, name, max) {#name, WIRE_list, offsetof(self, name), max, &wire_##record},
#define END(name)                                                                                  \
    }                                                                                              \
    ;                                                                                              \
    return fields;                                                                                 \
    }
#include "wire/messages.def"
#include "wire/undef.h"

/* wire_NAME. */
#define RECORD(name) MESSAGE(name, 0)
#define MESSAGE(name, type)                                                                        \
    const struct wire_schema wire_##name = {                                                       \
        #name, type, sizeof(struct msg_##name), minimal_##name, count_##name, fields_##name};
#define FIELD(kind, name)
#define BYTES(name, max)
#define ITEM(record, name)
#define LIST(record, name, max)
#define END(name)
#include "wire/messages.def"
#include "wire/undef.h"

static const struct wire_schema *const by_type[] = {
#define RECORD(name)
#define MESSAGE(name, type) [type] = &wire_##name,
#define FIELD(kind, name)
#define BYTES(name, max)
#define ITEM(record, name)
#define LIST(record, name, max)
#define END(name)
#include "wire/messages.def"
#include "wire/undef.h"
};

static const struct wire_schema *const all[] = {
#define RECORD(name) &wire_##name,
#define MESSAGE(name, type) RECORD(name)
#define FIELD(kind, name)
#define BYTES(name, max)
#define ITEM(record, name)
#define LIST(record, name, max)
#define END(name)
#include "wire/messages.def"
#include "wire/undef.h"
};

const struct wire_schema *wire_schema(unsigned type)
{
    return type < sizeof by_type / sizeof *by_type ? by_type[type] : NULL;
}

const struct wire_schema *wire_each(size_t i)
{
    return i < sizeof all / sizeof *all ? all[i] : NULL;
}

const char *wire_name(const struct wire_schema *schema) { return schema->name; }

unsigned wire_type(const struct wire_schema *schema) { return schema->type; }

size_t wire_struct_size(const struct wire_schema *schema) { return schema->struct_size; }
