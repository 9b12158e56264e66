"""The reports of a run, a load test and a campaign, all made from one result object.

Modules:

    result              the result, written to and read from result.json
    write               all report files of a run, and their rebuild from the raw records
    html                report.html of a run
    load                report.html and summary of a load test
    campaign            campaign.json, campaign.html and summary of a campaign
    compare             comparison of two sets of runs
    junit               junit.xml
    progress            progress of a run on the terminal
    terminal            summary of a run on the terminal
    plan                plan of a scenario on the terminal
    plain_table         tables of both
    headline            first line of every summary
    accounting          rows by stage, and the map of completeness
    policies            lifecycle policies in words
    charts              charts of a run as SVG
    numbers             numbers, units and times as text
    jinja_environment   environment of the page templates
"""
