-- A school database that nobody here has seen: short names, keys of three columns, flags as Y and N,
-- marks that count from a day on, -1 for excused.
CREATE TABLE sch (sch_cd char(4) PRIMARY KEY, sch_nm varchar(60) NOT NULL);
CREATE TABLE sch_yr (
    yr_no integer PRIMARY KEY, yr_nm varchar(20) NOT NULL, curr_flg char(1) NOT NULL
);
CREATE TABLE cal (
    cal_no integer PRIMARY KEY, sch_cd char(4) NOT NULL REFERENCES sch (sch_cd),
    yr_no integer NOT NULL REFERENCES sch_yr (yr_no)
);
CREATE TABLE pers (
    pers_no integer PRIMARY KEY, fname varchar(40) NOT NULL, lname varchar(40) NOT NULL,
    lang_cd varchar(8), email varchar(80)
);
CREATE TABLE stu (
    stu_no integer PRIMARY KEY, pers_no integer NOT NULL REFERENCES pers (pers_no),
    cal_no integer NOT NULL REFERENCES cal (cal_no), stat_cd char(1) NOT NULL
);
CREATE TABLE stu_contact (
    stu_no integer NOT NULL REFERENCES stu (stu_no), pers_no integer NOT NULL REFERENCES pers (pers_no),
    seq_no integer NOT NULL, rel_nm varchar(30), web_access_flg char(1) NOT NULL,
    court_ord_flg char(1) NOT NULL, eff_dt date, end_dt date, PRIMARY KEY (stu_no, pers_no, seq_no)
);
CREATE TABLE crs (
    crs_no integer PRIMARY KEY, cal_no integer NOT NULL REFERENCES cal (cal_no),
    crs_nm varchar(60) NOT NULL
);
CREATE TABLE cls_sec (
    sec_no integer PRIMARY KEY, crs_no integer NOT NULL REFERENCES crs (crs_no), room varchar(10)
);
CREATE TABLE asgn (
    sec_no integer NOT NULL REFERENCES cls_sec (sec_no), asgn_seq integer NOT NULL,
    asgn_nm varchar(60) NOT NULL, max_pts numeric(6,2), due_dt date, publish_dt timestamp,
    PRIMARY KEY (sec_no, asgn_seq)
);
CREATE TABLE stu_mark (
    stu_no integer NOT NULL REFERENCES stu (stu_no), sec_no integer NOT NULL,
    asgn_seq integer NOT NULL, mark_pts numeric(6,2), mark_cmt varchar(200),
    upd_ts timestamp, PRIMARY KEY (stu_no, sec_no, asgn_seq),
    FOREIGN KEY (sec_no, asgn_seq) REFERENCES asgn (sec_no, asgn_seq)
);
CREATE TABLE stu_absence (
    stu_no integer NOT NULL REFERENCES stu (stu_no), abs_dt date NOT NULL,
    per_no integer NOT NULL, sec_no integer NOT NULL REFERENCES cls_sec (sec_no),
    abs_cd char(1) NOT NULL, PRIMARY KEY (stu_no, abs_dt, per_no)
);
CREATE TABLE lunch_acct (
    acct_no integer PRIMARY KEY, stu_no integer NOT NULL REFERENCES stu (stu_no),
    bal_amt numeric(8,2) NOT NULL
);
CREATE TABLE bus_route (rt_no integer PRIMARY KEY, drv_nm varchar(60), bus_cap integer)
