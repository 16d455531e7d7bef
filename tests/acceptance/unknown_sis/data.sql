INSERT INTO sch (sch_cd, sch_nm) VALUES ('LHS', 'Lincoln High School');
INSERT INTO sch_yr (yr_no, yr_nm, curr_flg) VALUES (25, '2025-26', 'N'), (26, '2026-27', 'Y');
INSERT INTO cal (cal_no, sch_cd, yr_no) VALUES (11, 'LHS', 25), (12, 'LHS', 26);
INSERT INTO pers (pers_no, fname, lname, lang_cd, email) VALUES
    (31, 'Ada', 'Reyes', 'en', 'ada@example.org'), (32, 'Ben', 'Reyes', 'en', NULL),
    (33, 'Chen', 'Wang', 'en', NULL), (39, 'Dora', 'Ito', 'en', NULL),
    (34, 'Lucia', 'Reyes', 'en', NULL), (35, 'Karl', 'Reyes', 'en', NULL),
    (36, 'Rosa', 'Ortiz', 'en', NULL);
INSERT INTO stu (stu_no, pers_no, cal_no, stat_cd) VALUES
    (41, 31, 12, 'A'), (42, 32, 12, 'A'), (43, 33, 12, 'W'), (44, 39, 12, 'W');
INSERT INTO stu_contact
    (stu_no, pers_no, seq_no, rel_nm, web_access_flg, court_ord_flg, eff_dt, end_dt) VALUES
    (41, 34, 1, 'mother', 'Y', 'N', '2024-08-01', NULL),
    (42, 34, 1, 'mother', 'Y', 'N', '2024-08-01', NULL),
    (41, 35, 2, 'uncle', 'Y', 'Y', '2024-08-01', NULL),
    (41, 36, 3, 'grandmother', 'N', 'N', '2024-08-01', NULL);
INSERT INTO crs (crs_no, cal_no, crs_nm) VALUES (61, 12, 'Biology 9');
INSERT INTO cls_sec (sec_no, crs_no, room) VALUES (71, 61, '12');
INSERT INTO asgn (sec_no, asgn_seq, asgn_nm, max_pts, due_dt, publish_dt) VALUES
    (71, 1, 'Quiz 1', 20, '2026-11-20', '2026-11-20 08:00:00'),
    (71, 2, 'Unit test', 100, '2026-11-20', '2099-01-01 08:00:00'),
    (71, 3, 'Essay', 10, '2026-11-20', '2026-11-20 08:00:00');
INSERT INTO stu_mark (stu_no, sec_no, asgn_seq, mark_pts, mark_cmt, upd_ts) VALUES
    (41, 71, 1, 17, 'Ada was quick', '2026-11-21 10:00:00'),
    (42, 71, 1, -1, 'Ben was ill', '2026-11-21 10:01:00'),
    (41, 71, 2, 60, NULL, '2026-11-21 10:02:00'),
    (43, 71, 1, -1, NULL, '2026-11-21 10:03:00');
INSERT INTO stu_absence (stu_no, abs_dt, per_no, sec_no, abs_cd) VALUES
    (41, '2026-11-20', 3, 71, 'A'), (42, '2026-11-20', 3, 71, 'A'),
    (41, '2026-11-19', 3, 71, 'T'), (42, '2026-11-19', 3, 71, 'T'),
    (43, '2026-11-19', 3, 71, 'E'), (44, '2026-11-19', 3, 71, 'E');
INSERT INTO lunch_acct (acct_no, stu_no, bal_amt) VALUES (51, 41, 6.25), (52, 42, -3.10)
