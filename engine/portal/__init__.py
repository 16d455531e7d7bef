"""The portal: what staff do in a browser. Every flow works without JavaScript.

app           puts everything together
server        runs it, as a stage
portal        what pages ask: the district, the clock
protection    what is refused before any page sees it, and the headers of every answer
guards        who is signed in, and whether they may
rendering     templates, languages, moments as people write them
navigation    the tools, as they are listed
browsers      what browsers are called
typed         what somebody types into a page
families/     what families reach: the app's API
pages/        one file for each page
templates/ static/ locales/
"""
