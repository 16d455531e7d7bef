"""The reference SIS: a school database to try Schoolbell on, to test it and to measure it.

It is a neighbour, not a part: the engine knows its tables only from
`definitions/reference.toml`, like those of any other SIS.

    create      makes its tables
    populate    fills them with a district of any size
    sample      what a scenario needs to know of what is in them
    day         what the people of a school do, in the SQL of an ordinary program
"""
