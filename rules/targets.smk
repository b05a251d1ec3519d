# Parts of the whole that can be asked for by name.
from prismflow.plan.results import all_figures, all_tables, stores


localrules:
    figures,
    tables,
    stores,


rule figures:
    input:
        all_figures(PLAN),


rule tables:
    input:
        all_tables(PLAN),


rule stores:
    input:
        stores(PLAN),
