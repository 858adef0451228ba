"""Real deliveries into a real folder, watched by real inotify: 23 ways in which watching fails, and what comes of them.

What is valid and has stood for two seconds is in force within five where events work, within a resync where they do
not; doubt means fewer rules; one bad file never touches another. A line here is one way to fail and a test that shows
it; `test_the_list.py` sees to it that every test exists.

 1  a watch on a link follows it once         test_every_swap_rings_and_brings_its_documents_into_force
    also with the link above the folder       test_so_it_is_for_a_folder_inside_the_tree
    also if the old tree stays                test_a_swap_rings_also_if_the_old_tree_stays
 2  a watch on a file of a volume is silent   test_every_update_rings_and_brings_its_documents_into_force
 3  only `..` names have events in a volume   test_keys_come_and_go_with_an_update
 4  edits below a swapped link go unheard     test_an_edit_in_place_below_the_link_rings_too_after_any_number_of_swaps
 5  a mounted link target goes stale          test_a_mount_of_what_the_link_leads_to_is_empty_after_a_swap
    how it is done right                      test_a_mount_of_the_folder_above_the_link_sees_every_swap
 6  a mounted file keeps its old content      test_once_it_has_been_replaced_outside_it_is_not_believed_any_more
    warned of before it happens               test_a_mounted_file_is_warned_of_and_obeyed_while_it_is_what_was_mounted
 7  an empty folder is ambiguous              test_a_folder_that_is_emptied_puts_nothing_in_force_and_is_not_healthy
    so is one that is not there               test_a_folder_that_vanishes_and_comes_back_rings_both_times
    not there yet, nor its parent             test_a_folder_that_did_not_exist_at_first_nor_its_parent_is_found
    a disk that is unmounted                  test_a_disk_that_is_unmounted_is_a_lost_folder_and_watched_again
 8  a swap while the watch is being made      test_a_swap_while_the_watch_is_being_made_is_heard
 9  a tree is deleted while it is read        test_a_tree_deleted_while_it_is_read_is_not_taken_for_a_part_of_it
    at any moment, a hundred times            test_no_reading_ever_mixes_or_misses_while_trees_come_and_go
10  a cut file may parse                      test_a_file_being_written_never_removes_by_what_its_beginning_says
    and stand half-written                    test_a_file_that_stands_half_written_gives_no_rules_until_it_is_whole
    and say what it said last week            test_a_file_cut_to_what_it_said_last_week_waits
11  the event queue overflows                 test_a_full_event_queue_does_not_make_it_deaf
12  no inotify instance is left               test_without_an_inotify_instance_the_folder_is_read_all_the_same
    too few watches are left                  test_without_enough_watches_it_does_not_pretend
13  a file system keeps quiet                 test_what_changes_below_an_overlay_is_found_without_a_ring
    or is known to                            test_a_folder_that_the_kernel_makes_up_is_not_said_to_be_watched
    so that the resync must do                test_with_a_deaf_watcher_every_pass_finds_what_has_changed
14  the watcher dies silently                 test_a_watcher_that_has_died_is_made_anew_by_the_next_pass
    and cannot be revived                     test_one_that_cannot_be_made_anew_is_shown_and_does_not_stop_the_passes
15  one change, many events                   test_a_storm_of_events_is_gathered_into_few_passes
16  the same is delivered again and again     test_a_projection_that_changes_nothing_changes_nothing
17  deleted while nobody looked               test_a_policy_deleted_while_the_controller_was_down_is_not_in_force
18  two sources, one name                     test_of_two_sources_with_the_same_name_always_the_same_one_counts
19  one bad file among good ones              test_a_bad_file_is_shown_and_touches_no_other
    or no file at all                         test_nor_does_what_is_no_file_or_leads_out_or_nowhere
20  links lead nowhere for a moment           test_at_no_step_of_an_update_does_a_document_vanish_that_stays
21  hidden and scratch names                  test_hidden_and_scratch_names_are_no_policies
    read twice through `..data`               test_each_document_is_read_once_and_never_by_a_hidden_name
22  mtime is no version                       test_dates_of_files_mean_nothing
23  permissions and times make noise          test_changing_permissions_and_times_changes_nothing
    and matter only when nothing can be read  test_permissions_and_times_ring_only_while_they_matter
"""
