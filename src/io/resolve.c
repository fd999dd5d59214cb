/* Names (resolve.h). A seed's name may not resolve yet when a whole flock boots at once, and what
 * it resolves to may be the machine of yesterday. So --join insists: it asks after 1 s, 2 s, 4 s,
 * ... a minute again, until the node has met somebody. From then on members' addresses are known,
 * and no name is asked for any more.
 *
 *   ASKING --none--> PAUSING --> ASKING ...
 *     `----found, told, still alone--> PAUSING
 *     `----found, told, not alone----> over
 *
 * The system's resolver waits in a worker thread; two names at a time, since libuv keeps half of
 * its threads from work that may be slow. Addresses in figures wait for none of them. */
#include "io/resolve.h"

#include "io/loop.h"
#include "io/sockaddr.h"

#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RESOLVE_PAUSE_MS = 1000,
    RESOLVE_PAUSE_MAX_MS = 60 * 1000,
    RESOLVE_FOUND_MAX = 64, /* as many as a node joins through */
};

enum lookup_state {
    LOOKUP_ASKING,  /* a worker thread asks */
    LOOKUP_PAUSING, /* until it is asked again */
    LOOKUP_CLOSING,
};

struct lookup {
    uv_getaddrinfo_t request;
    uv_timer_t timer;
    struct resolver *resolver;
    struct lookup *next;
    enum lookup_state state;
    uint64_t token;
    bool insists;
    bool has_found;
    uint64_t pause_ms;
    uint16_t port;
    char host[256];
};

struct resolver {
    struct loop *loop;
    struct lookup *first;
    bool is_closing;
    struct address found[RESOLVE_FOUND_MAX];
    size_t found_count;
};

bool resolve_split(const char *text, char host[256], uint16_t *port)
{
    const char *end = text + strlen(text), *colon = NULL;
    *port = RESOLVE_PORT;
    if (*text == '[') {
        const char *bracket = strchr(++text, ']');
        if (bracket == NULL || (bracket[1] != '\0' && bracket[1] != ':')) return false;
        end = bracket;
        colon = bracket[1] == ':' ? bracket + 1 : NULL;
    } else if ((colon = strchr(text, ':')) != NULL) {
        if (strchr(colon + 1, ':') == NULL) end = colon;
        else colon = NULL; /* a bare IPv6 address */
    }
    if (colon != NULL) {
        char *rest;
        unsigned long number = strtoul(colon + 1, &rest, 10);
        if (colon[1] < '0' || colon[1] > '9' || *rest != '\0' || number == 0 || number > 65535)
            return false;
        *port = (uint16_t)number;
    }
    if (end == text || end - text > 255) return false;
    memcpy(host, text, (size_t)(end - text));
    host[end - text] = '\0';
    return true;
}

static void lookup_free(struct lookup *lookup)
{
    struct lookup **link = &lookup->resolver->first;
    while (*link != lookup) link = &(*link)->next;
    *link = lookup->next;
    free(lookup);
}

static void on_timer_closed(uv_handle_t *handle) { lookup_free(handle->data); }

static void lookup_end(struct lookup *lookup)
{
    if (lookup->state == LOOKUP_CLOSING) return;
    lookup->state = LOOKUP_CLOSING;
    uv_close((uv_handle_t *)&lookup->timer, on_timer_closed);
}

/* For the node that is not there yet. */
static void keep(struct resolver *resolver, const struct address *address)
{
    if (resolver->loop->node != NULL || resolver->found_count == RESOLVE_FOUND_MAX) return;
    resolver->found[resolver->found_count++] = *address;
}

static void tell(struct lookup *lookup, const struct address *addresses, size_t count)
{
    struct resolver *resolver = lookup->resolver;
    struct event event = {.kind = EVENT_RESOLVED};
    event.resolved.token = lookup->token;
    event.resolved.addresses = addresses;
    event.resolved.count = count;
    for (size_t i = 0; lookup->insists && i < count; i++) keep(resolver, &addresses[i]);
    loop_feed(resolver->loop, &event);
}

static bool is_alone(const struct resolver *resolver)
{
    const struct node *node = resolver->loop->node;
    return node == NULL || node_is_alone(node);
}

static size_t collect(const struct addrinfo *list, uint16_t port, struct address *addresses)
{
    size_t count = 0;
    for (; list != NULL && count < RESOLVE_ADDRESSES_MAX; list = list->ai_next) {
        struct address address = sockaddr_address(list->ai_addr);
        address.port = port;
        if (!address_is_none(&address)) addresses[count++] = address;
    }
    return count;
}

static void ask(struct lookup *lookup);
static void answered(struct lookup *lookup, const struct addrinfo *list);

static void on_pause(uv_timer_t *timer)
{
    struct lookup *lookup = timer->data;
    if (!lookup->insists) answered(lookup, NULL);
    else if (lookup->has_found && !is_alone(lookup->resolver)) lookup_end(lookup);
    else ask(lookup);
}

static void pause_lookup(struct lookup *lookup)
{
    lookup->state = LOOKUP_PAUSING;
    if (uv_timer_start(&lookup->timer, on_pause, lookup->pause_ms, 0) != 0) abort();
    lookup->pause_ms *= 2;
    if (lookup->pause_ms > RESOLVE_PAUSE_MAX_MS) lookup->pause_ms = RESOLVE_PAUSE_MAX_MS;
}

static void answered(struct lookup *lookup, const struct addrinfo *list)
{
    struct address addresses[RESOLVE_ADDRESSES_MAX];
    struct loop *loop = lookup->resolver->loop;
    size_t count = collect(list, lookup->port, addresses);
    if (lookup->resolver->is_closing) {
        lookup_end(lookup);
    } else if (count == 0 && lookup->insists) {
        trace_line(&loop->trace, TRACE_WARN,
                   "event=join_unknown host=%s text=\"no address yet for this name\"",
                   lookup->host);
        pause_lookup(lookup);
    } else {
        lookup->has_found = true;
        tell(lookup, addresses, count);
        if (lookup->insists && loop->state != LOOP_STOPPED) pause_lookup(lookup);
        else lookup_end(lookup);
    }
}

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    answered(request->data, status == 0 ? list : NULL);
    if (list != NULL) uv_freeaddrinfo(list);
}

static void ask(struct lookup *lookup)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    lookup->state = LOOKUP_ASKING;
    lookup->request.data = lookup;
    int status = uv_getaddrinfo(&lookup->resolver->loop->uv, &lookup->request, on_answer,
                                lookup->host, NULL, &hints);
    if (status != 0)
        pause_lookup(
            lookup); /* no memory, or no name by its form: told later, never within a step */
}

static void lookup_start(struct resolver *resolver, const char *text, uint64_t token, bool insists)
{
    struct lookup *lookup = resolver->is_closing ? NULL : calloc(1, sizeof *lookup);
    if (lookup == NULL || !resolve_split(text, lookup->host, &lookup->port)) {
        struct event event = {.kind = EVENT_RESOLVED};
        event.resolved.token = token;
        free(lookup);
        if (!resolver->is_closing) loop_feed(resolver->loop, &event);
        return;
    }
    lookup->resolver = resolver;
    lookup->token = token;
    lookup->insists = insists;
    lookup->pause_ms = RESOLVE_PAUSE_MS;
    lookup->next = resolver->first;
    resolver->first = lookup;
    if (uv_timer_init(&resolver->loop->uv, &lookup->timer) != 0) abort();
    lookup->timer.data = lookup;
    ask(lookup);
}

void resolver_ask(struct resolver *resolver, uint64_t token, const char *host)
{
    lookup_start(resolver, host, token, false);
}

void resolver_insist(struct resolver *resolver, const char *host)
{
    struct address address;
    char with_port[256 + 8];
    snprintf(with_port, sizeof with_port, "%.255s:%d", host, RESOLVE_PORT);
    assert(resolver->loop->node == NULL);
    if (address_parse(host, &address) || address_parse(with_port, &address))
        keep(resolver, &address);
    else lookup_start(resolver, host, 0, true);
}

size_t resolver_pending(const struct resolver *resolver)
{
    size_t count = 0;
    for (const struct lookup *lookup = resolver->first; lookup != NULL; lookup = lookup->next)
        if (lookup->insists && !lookup->has_found && lookup->state != LOOKUP_CLOSING) count++;
    return count;
}

size_t resolver_found(const struct resolver *resolver, struct address *addresses, size_t capacity)
{
    size_t count = resolver->found_count < capacity ? resolver->found_count : capacity;
    if (count > 0) memcpy(addresses, resolver->found, count * sizeof *addresses);
    return count;
}

enum error resolver_open(struct loop *loop, struct resolver **out)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL) return ERROR_MEMORY;
    resolver->loop = loop;
    *out = resolver;
    return ERROR_NONE;
}

void resolver_close(struct resolver *resolver)
{
    resolver->is_closing = true;
    for (struct lookup *lookup = resolver->first; lookup != NULL; lookup = lookup->next) {
        if (lookup->state == LOOKUP_PAUSING) lookup_end(lookup);
        else if (lookup->state == LOOKUP_ASKING) (void)uv_cancel((uv_req_t *)&lookup->request);
    }
}

void resolver_free(struct resolver *resolver) { free(resolver); }
