"""The demonstration: a school day on one machine, and what phones must show because of it.

    cast        the people of the story: families, phones, rights and wishes, written out
    acts        the day, act by act, with what each phone shows because of it, written out
    crowd       everybody else: what they should see follows from one plain rule
    expected    what is expected beside what is there: missing, unexpected
    school      brings the cast into the SIS
    world       the folder with all of it: SIS, engine, phones, people signed in
    running     the engine at work, in threads or as processes
    portal      staff of the portal, and the administrator's first look
    program     a program of the office, which writes to families through the portal's API
    quiet       waiting until every change has had all of its effect
    play        plays the acts and checks the phones
    measure     the time from a commit to the phone
    terminal    what one sees of it
    report      phones, reasons and numbers of the day, and the verdict
    next_steps  commands to go on with
    demonstrate all of it, from beginning to end

Nothing here asks the product what it should have done: expectations are written by hand.
"""
