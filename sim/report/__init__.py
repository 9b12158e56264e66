"""The reports of a run, a load test and a campaign, all made from one result object.

Modules:

    result              the result, written to and read from result.json
    write               all report files of a run, and their rebuild from the raw records
    page                base of all HTML pages: template, scripts, contents list
    html                report.html of a run
    load                report.html and summary of a load test
    campaign            campaign.json, campaign.html and summary of a campaign
    compare             comparison of two sets of runs
    junit               junit.xml
    progress            progress of a run on the terminal
    terminal            summary of a run on the terminal
    forms               a run's end as JSON, Markdown or one line
    plan                plan of a scenario on the terminal
    plain_table         tables of both
    headline            first line of every summary
    outcomes            expectations: value, limit, and the failed ones in a sentence
    tiles               figures as tiles, and all of them in groups
    findings            findings by kind, farm and node
    accounting          rows by stage, and the map of completeness
    completeness        the farms behind that map
    policies            lifecycle policies in words
    chart               a chart as data, which `static/charts.js` draws with uPlot
    charts              charts of a run
    glossary, terms     words with a definition
    numbers             numbers, units and times as text
    jinja_environment   environment of the page templates

`static/` has the scripts: elements and plot are shared with the dashboard.
"""
