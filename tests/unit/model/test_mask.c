/*
 * Field masks (model/mask.h) on an account: what they take over, what they refuse.
 */
#include "model/mask.h"

#include "mxadm/v1/model.pb-c.h"
#include "support/cmocka.h"

#include <string.h>

#define ARENA_MAX ((size_t) 1024 * 1024)

static const char *const fixed[] = { "name", "revision", NULL };

struct scene {
    struct arena *arena;
    struct status status;
    struct model model;
    Mxadm__V1__Account from;
    Mxadm__V1__Account to;
    Mxadm__V1__JunkFilter from_filter;
    Mxadm__V1__JunkFilter to_filter;
    char *capability;
};

static int setup(void **state)
{
    struct scene *scene = test_calloc(1, sizeof(*scene));

    scene->arena = arena_create(ARENA_MAX);
    status_init(&scene->status, scene->arena);
    scene->model.arena = scene->arena;
    scene->model.status = &scene->status;
    mxadm__v1__account__init(&scene->from);
    mxadm__v1__account__init(&scene->to);
    mxadm__v1__junk_filter__init(&scene->from_filter);
    mxadm__v1__junk_filter__init(&scene->to_filter);
    scene->from.name = (char *) "new";
    scene->from.description = (char *) "new";
    scene->from.quota_message_size = -1;
    scene->from.keep_rejects = true;
    scene->from_filter.threshold = 0.5;
    scene->from_filter.top_words = 5;
    scene->to.name = (char *) "old";
    scene->to.description = (char *) "old";
    scene->to.full_name = (char *) "old";
    scene->to.revision = 7;
    scene->to_filter.threshold = 0.9;
    scene->to_filter.top_words = 9;
    scene->to.junk_filter = &scene->to_filter;
    scene->capability = (char *) "IDLE";
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;

    arena_destroy(scene->arena);
    test_free(scene);
    return 0;
}

static bool apply(struct scene *scene, const char *const *paths, size_t count)
{
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;

    mask.paths = (char **) paths;
    mask.n_paths = count;
    return mask_apply(&scene->model, &mask, fixed, &scene->from.base, &scene->to.base);
}

static bool apply_one(struct scene *scene, const char *path)
{
    return apply(scene, &path, 1);
}

static void assert_refused(struct scene *scene, const char *field)
{
    assert_int_equal(scene->status.code, MX_INVALID_ARGUMENT);
    assert_non_null(scene->status.violations);
    assert_string_equal(scene->status.violations->field, field);
}

static void a_field_is_taken_over_alone(void **state)
{
    struct scene *scene = *state;

    assert_true(apply_one(scene, "description"));
    assert_string_equal(scene->to.description, "new");
    assert_string_equal(scene->to.full_name, "old");
    assert_int_equal(scene->to.quota_message_size, 0);
    assert_true(apply_one(scene, "quota_message_size"));
    assert_int_equal(scene->to.quota_message_size, -1);
    assert_false(scene->to.keep_rejects);
    assert_true(apply_one(scene, "keep_rejects"));
    assert_true(scene->to.keep_rejects);
}

static void a_star_takes_all_but_what_is_fixed(void **state)
{
    struct scene *scene = *state;

    scene->from.revision = 99;
    assert_true(apply_one(scene, "*"));
    assert_string_equal(scene->to.name, "old");
    assert_int_equal(scene->to.revision, 7);
    assert_string_equal(scene->to.description, "new");
    assert_string_equal(scene->to.full_name, ""); /* absent there, so cleared here */
    assert_null(scene->to.junk_filter);
}

static void a_fixed_field_may_be_named_and_stays(void **state)
{
    struct scene *scene = *state;

    assert_true(apply_one(scene, "name"));
    assert_string_equal(scene->to.name, "old");
}

static void a_path_goes_into_a_message_and_leaves_its_other_fields(void **state)
{
    struct scene *scene = *state;

    scene->from.junk_filter = &scene->from_filter;
    assert_true(apply_one(scene, "junk_filter.threshold"));
    assert_true(scene->to.junk_filter->threshold == 0.5);
    assert_int_equal(scene->to.junk_filter->top_words, 9);
    /* The stored message was copied first. */
    assert_true(scene->to_filter.threshold == 0.9);
}

static void a_path_makes_the_message_that_was_not_there(void **state)
{
    struct scene *scene = *state;

    scene->from.junk_filter = &scene->from_filter;
    scene->to.junk_filter = NULL;
    assert_true(apply_one(scene, "junk_filter.top_words"));
    assert_int_equal(scene->to.junk_filter->top_words, 5);
    assert_true(scene->to.junk_filter->threshold == 0);
}

static void a_path_below_what_the_request_lacks_clears_the_field(void **state)
{
    struct scene *scene = *state;

    assert_true(apply_one(scene, "junk_filter.top_words"));
    assert_int_equal(scene->to.junk_filter->top_words, 0);
    assert_true(scene->to.junk_filter->threshold == 0.9);
    scene->to.junk_filter = NULL;
    assert_true(apply_one(scene, "junk_filter.top_words"));
    assert_null(scene->to.junk_filter); /* nothing to clear: nothing is made */
}

static void a_message_is_taken_over_or_cleared_as_a_whole(void **state)
{
    struct scene *scene = *state;

    scene->from.junk_filter = &scene->from_filter;
    assert_true(apply_one(scene, "junk_filter"));
    assert_int_equal(scene->to.junk_filter->top_words, 5);
    scene->from.junk_filter = NULL;
    assert_true(apply_one(scene, "junk_filter"));
    assert_null(scene->to.junk_filter);
}

static void a_list_is_taken_over_as_a_whole(void **state)
{
    struct scene *scene = *state;

    scene->from.imap_capabilities_disabled = &scene->capability;
    scene->from.n_imap_capabilities_disabled = 1;
    assert_true(apply_one(scene, "imap_capabilities_disabled"));
    assert_int_equal(scene->to.n_imap_capabilities_disabled, 1);
    assert_string_equal(scene->to.imap_capabilities_disabled[0], "IDLE");
    scene->from.n_imap_capabilities_disabled = 0;
    assert_true(apply_one(scene, "imap_capabilities_disabled"));
    assert_int_equal(scene->to.n_imap_capabilities_disabled, 0);
}

static void a_path_that_names_no_field_is_refused(void **state)
{
    static const char *const wrong[] = { "nothing",
                                         "",
                                         ".",
                                         "description.x",
                                         "junk_filter.",
                                         "junk_filter.nothing",
                                         "routes.transport",
                                         "routes[0]",
                                         "*.description",
                                         "junk_filter.*",
                                         "Description",
                                         "description " };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct scene *scene = *state;

        status_init(&scene->status, scene->arena);
        if (apply_one(scene, wrong[i])) {
            fail_msg("'%s' was taken for a path", wrong[i]);
        }
        assert_refused(scene, "update_mask.paths[0]");
        assert_string_equal(scene->to.description, "old");
    }
}

static void all_wrong_paths_are_named_and_nothing_is_taken_over(void **state)
{
    static const char *const paths[] = { "description", "no", "routes.transport" };
    struct scene *scene = *state;

    assert_false(apply(scene, paths, 3));
    assert_refused(scene, "update_mask.paths[1]");
    assert_int_equal(scene->status.violation_count, 2);
    assert_string_equal(scene->to.description, "old");
}

static void an_empty_mask_is_refused(void **state)
{
    struct scene *scene = *state;

    assert_false(apply(scene, NULL, 0));
    assert_refused(scene, "update_mask");
    status_init(&scene->status, scene->arena);
    assert_false(mask_apply(&scene->model, NULL, fixed, &scene->from.base, &scene->to.base));
    assert_refused(scene, "update_mask");
}

static void a_hundred_paths_are_the_most(void **state)
{
    struct scene *scene = *state;
    const char *paths[MASK_PATHS_MAX + 1];

    for (size_t i = 0; i < MASK_PATHS_MAX + 1; i++) {
        paths[i] = "description";
    }
    assert_true(apply(scene, paths, MASK_PATHS_MAX));
    assert_false(apply(scene, paths, MASK_PATHS_MAX + 1));
    assert_refused(scene, "update_mask");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_field_is_taken_over_alone),
        TEST(a_star_takes_all_but_what_is_fixed),
        TEST(a_fixed_field_may_be_named_and_stays),
        TEST(a_path_goes_into_a_message_and_leaves_its_other_fields),
        TEST(a_path_makes_the_message_that_was_not_there),
        TEST(a_path_below_what_the_request_lacks_clears_the_field),
        TEST(a_message_is_taken_over_or_cleared_as_a_whole),
        TEST(a_list_is_taken_over_as_a_whole),
        TEST(a_path_that_names_no_field_is_refused),
        TEST(all_wrong_paths_are_named_and_nothing_is_taken_over),
        TEST(an_empty_mask_is_refused),
        TEST(a_hundred_paths_are_the_most),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
