// SPDX-License-Identifier: Apache-2.0
// A circular doubly linked list whose nodes sit inside what they link. The head is a node too; a node that is in no
// list points at itself, so removing it is harmless. Guarded by whoever owns the list.
#ifndef BFR_SPOOL_LIST_H
#define BFR_SPOOL_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev;
    struct list *next;
};

// The struct of `type` in which `node` is the member `member`.
#define LIST_OWNER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *node)
{
    node->prev = node->next = node;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_insert_before(struct list *place, struct list *node)
{
    node->prev = place->prev;
    node->next = place;
    place->prev->next = node;
    place->prev = node;
}

static inline void list_push_tail(struct list *head, struct list *node)
{
    list_insert_before(head, node);
}

static inline void list_push_head(struct list *head, struct list *node)
{
    list_insert_before(head->next, node);
}

static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

#endif
