"""Real deliveries into a real folder, watched by real inotify: 23 ways in which watching fails, each with its tests.

A valid text that is stable for two seconds is in force within five if events work, within a resync if they do not;
doubt means fewer rules; an invalid file never affects another. Each line here is one way to fail and its test;
`test_the_list.py` checks that every test exists.

 1  a watch on a link follows it once         test_every_swap_is_noticed_and_puts_its_documents_in_force
    also with the link above the folder       test_a_folder_inside_the_tree_behaves_the_same
    also if the old tree remains              test_a_swap_is_noticed_also_if_the_old_tree_remains
 2  a watch on a volume's file has no events  test_every_update_is_noticed_and_puts_its_documents_in_force
 3  only `..` names have events in a volume   test_an_update_adds_and_removes_keys
 4  edits below a swapped link: no events     test_an_edit_in_place_below_the_link_is_noticed_after_any_number_of_swaps
 5  a mounted link target goes stale          test_a_mount_of_the_link_target_is_empty_after_a_swap
    how it is done right                      test_a_mount_of_the_folder_above_the_link_sees_every_swap
 6  a mounted file keeps its old content      test_a_mounted_file_that_was_replaced_outside_no_longer_counts
    with a warning before it happens          test_a_mounted_file_has_a_warning_and_counts_until_it_is_replaced
 7  an empty folder is ambiguous              test_a_folder_that_is_emptied_puts_nothing_in_force_and_is_not_healthy
    so is a missing one                       test_a_folder_that_vanishes_and_returns_is_noticed_both_times
    not there yet, nor its parent             test_a_folder_that_is_created_later_with_its_parent_is_found
    a disk that is unmounted                  test_a_disk_that_is_unmounted_is_a_lost_folder_and_watched_again
 8  a swap while the watch is set             test_a_swap_while_the_watch_is_set_is_noticed
 9  a tree is deleted while it is read        test_a_tree_deleted_while_it_is_read_does_not_count_in_part
    at any moment, a hundred times            test_no_reading_mixes_or_misses_documents_during_swaps
10  a cut file may parse                      test_a_file_that_is_being_written_never_removes_by_its_first_part
    and remain half-written                   test_a_file_that_remains_half_written_gives_no_rules_until_it_is_complete
    and have the text of last week            test_a_file_cut_to_its_text_of_last_week_waits
11  the event queue overflows                 test_after_a_full_event_queue_changes_are_noticed
12  no inotify instance is left               test_without_an_inotify_instance_the_folder_is_still_read
    too few watches are left                  test_without_enough_watches_the_folder_is_not_shown_as_watched
13  a file system reports no events           test_changes_below_an_overlay_are_found_without_events
    or is known to                            test_a_folder_of_the_kernel_is_not_shown_as_watched
    so only the resync finds changes          test_without_events_every_pass_finds_what_has_changed
14  the watcher ends without an error         test_a_watcher_that_has_ended_is_recreated_by_the_next_pass
    and cannot be recreated                   test_a_watcher_that_cannot_be_recreated_does_not_stop_the_passes
15  one change, many events                   test_many_events_lead_to_few_passes
16  the same is delivered repeatedly          test_a_projection_that_changes_nothing_changes_nothing
17  deleted while the controller was stopped  test_a_policy_deleted_while_the_controller_was_down_is_not_in_force
18  two sources, one name                     test_of_two_sources_with_the_same_name_always_the_same_one_counts
19  one bad file among good ones              test_an_invalid_file_is_shown_and_does_not_affect_the_others
    or no file at all                         test_an_entry_that_is_not_a_file_in_the_folder_does_not_affect_the_others
20  links have no target for a moment         test_no_step_of_an_update_drops_a_document_that_the_update_keeps
21  hidden and temporary names                test_hidden_and_temporary_names_are_not_policies
    read twice through `..data`               test_each_document_is_read_once_and_never_by_a_hidden_name
22  mtime is not a version                    test_dates_of_files_have_no_effect
23  permissions and times cause events        test_changing_permissions_and_times_changes_nothing
    and count only while a read fails         test_permissions_and_times_count_only_while_they_matter
"""
