// SPDX-License-Identifier: Apache-2.0
// Calls that a plugin asked for on the main thread. Each runs exactly once, there, and before the stage is destroyed:
// what the main loop has not come to by then is run when the stage has stopped. The main loop only ever holds a post,
// never a way into a plugin that may be gone.
#include "plugin_host.h"

#include <stdlib.h>

// Owned by the main loop once it has taken it. `stage` is NULL when the call has been made already.
struct bfr_post {
    struct bfr_post *next, **link; // in the stage's list
    struct bfr_stage *stage;
    void (*fn)(void *arg);
    void *arg;
};

static bool list_post(struct bfr_stage *stage, struct bfr_post *post)
{
    pthread_mutex_lock(&stage->post_lock);
    bool open = !stage->posts_closed;
    if (open) {
        post->next = stage->posts;
        post->link = &stage->posts;
        if (post->next != NULL)
            post->next->link = &post->next;
        stage->posts = post;
    }
    pthread_mutex_unlock(&stage->post_lock);
    return open;
}

static void unlist_post(struct bfr_stage *stage, struct bfr_post *post)
{
    pthread_mutex_lock(&stage->post_lock);
    *post->link = post->next;
    if (post->next != NULL)
        post->next->link = post->link;
    pthread_mutex_unlock(&stage->post_lock);
}

// On the main thread, as is the closing: so the two never meet over one post.
static void run_post(void *arg)
{
    struct bfr_post *post = arg;
    if (post->stage != NULL) {
        unlist_post(post->stage, post);
        post->fn(post->arg);
    }
    free(post);
}

bool bfr_stage_post(struct bfr_stage *stage, void (*fn)(void *arg), void *arg)
{
    const struct bfr_stage_env *env = stage->env;
    struct bfr_post *post = env->post != NULL ? malloc(sizeof *post) : NULL;
    if (post == NULL)
        return false;
    *post = (struct bfr_post){.stage = stage, .fn = fn, .arg = arg};
    if (list_post(stage, post)) {
        if (env->post(env->post_arg, run_post, post))
            return true;
        unlist_post(stage, post);
    }
    free(post);
    return false;
}

// The newest stands first in the list.
static struct bfr_post *close_and_find_oldest(struct bfr_stage *stage)
{
    pthread_mutex_lock(&stage->post_lock);
    stage->posts_closed = true;
    struct bfr_post *post = stage->posts;
    while (post != NULL && post->next != NULL)
        post = post->next;
    pthread_mutex_unlock(&stage->post_lock);
    return post;
}

void bfr_stage_close_posts(struct bfr_stage *stage)
{
    struct bfr_post *post;
    while ((post = close_and_find_oldest(stage)) != NULL) {
        unlist_post(stage, post);
        post->stage = NULL;
        post->fn(post->arg);
    }
}
