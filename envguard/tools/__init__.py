"""One file for each product that envguard talks to; nothing else knows that product."""
